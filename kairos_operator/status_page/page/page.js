// Draws what the events say. Texts are set as texts, never as markup: a node's message is what a program wrote.
"use strict";

const ORDER = ["Failed", "Running", "Preflight", "Pending", "Completed", "Skipped"];
const TITLES = {Failed: "failed", Running: "at work", Preflight: "checked", Pending: "waiting", Completed: "done",
  Skipped: "skipped"};
const SPEAKING = new Set(["Failed", "Running", "Preflight"]);  // whose messages are shown
const MANY = 60;  // from here on, the tiles of a phase that says nothing are small

const operations = new Map();  // key -> {facts, order, nodes: Map(name -> [phase, step, since, message])}
const cards = new Map();       // key -> its element
const stale = new Set();       // keys to draw anew
const link = document.getElementById("link");

function element(tag, classes, text) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}

function duration(from, to) {
  const seconds = Math.max(0, Math.round((to - Date.parse(from)) / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function grouped(nodes) {
  const groups = new Map(ORDER.map((phase) => [phase, []]));
  for (const [name, tile] of nodes) (groups.get(tile[0]) ?? groups.get("Running")).push([name, tile]);
  return groups;
}

function tileOf(name, [phase, step, since, message], small) {
  const tile = element("div", "tile");
  tile.dataset.phase = phase;
  tile.dataset.node = name;
  tile.title = `${name}: ${phase}${message ? `, ${message}` : ""}`;
  if (small) return tile;
  tile.append(element("b", "", name));
  if (SPEAKING.has(phase)) {
    const what = element("small", "", phase === "Failed" ? message : `${step}, `);
    if (phase !== "Failed") {
      const time = element("span");
      time.dataset.since = since;
      what.append(time, document.createTextNode(message ? `: ${message}` : ""));
    }
    tile.append(what);
  }
  return tile;
}

function fill(card, {facts, nodes}) {
  const groups = grouped(nodes);
  const head = element("div", "head");
  const phase = element("span", "phase", facts.paused && !facts.completedAt ? `${facts.phase}, paused` : facts.phase);
  phase.dataset.phase = facts.phase;
  const time = element("span", "soft");
  time.dataset.since = facts.startedAt;
  time.dataset.until = facts.completedAt;
  head.append(element("h2", "", `${facts.namespace}/${facts.name}`), phase, time);
  const summary = element("summary");
  const bar = element("div", "bar");
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", facts.message);
  for (const name of ["Completed", "Skipped", "Failed", "Running", "Preflight"]) {
    const part = element("span");
    part.dataset.phase = name;
    part.style.flexGrow = groups.get(name).length;
    if (groups.get(name).length) bar.append(part);
  }
  const rest = element("span");
  rest.style.flexGrow = groups.get("Pending").length;
  rest.style.minWidth = "0";
  rest.style.background = "transparent";
  bar.append(rest);
  summary.append(head, element("p", "", facts.message));
  if (facts.blocked) summary.append(element("p", "blocked", `Drain blocked: ${facts.blocked}`));
  summary.append(bar, element("p", "soft", `${facts.kind} ${facts.image}`));
  const parts = [summary];
  for (const [name, members] of groups) {
    if (!members.length) continue;
    const speaking = SPEAKING.has(name);
    const small = members.length > MANY && name !== "Failed";
    const tiles = element("div", `tiles${small ? " many" : speaking ? " wide" : ""}`);
    members.sort(([one], [other]) => one.localeCompare(other, undefined, {numeric: true}));
    tiles.append(...members.map(([node, tile]) => tileOf(node, tile, small)));
    parts.push(element("h3", "", `${members.length} ${TITLES[name]}`), tiles);
  }
  card.replaceChildren(...parts);
}

function draw() {
  const list = document.getElementById("operations");
  for (const key of stale) {
    const operation = operations.get(key);
    if (!operation) {
      cards.get(key)?.remove();
      cards.delete(key);
      continue;
    }
    let card = cards.get(key);
    if (!card) {
      card = element("details", "operation");
      card.dataset.key = key;
      card.open = !operation.facts.completedAt;
      cards.set(key, card);
    }
    fill(card, operation);
  }
  if (stale.size) {
    const rank = ([key, one]) => `${one.facts.completedAt ? 0 : 1}${one.order}${key}`;
    const wanted = [...operations].sort((one, other) => (rank(one) < rank(other) ? 1 : -1)).map(([key]) => cards.get(key));
    wanted.forEach((card, index) => {
      if (list.children[index] !== card) list.insertBefore(card, list.children[index] ?? null);
    });
  }
  stale.clear();
  document.getElementById("nothing").hidden = operations.size > 0;
  tick();
}

function tick() {
  for (const each of document.querySelectorAll("[data-since]")) {
    const {since, until} = each.dataset;
    each.textContent = since ? duration(since, until ? Date.parse(until) : Date.now()) : "";
  }
}

function take({key, gone, order, facts, nodes, removed}) {
  stale.add(key);
  if (gone) {
    operations.delete(key);
    return;
  }
  const operation = operations.get(key) ?? {nodes: new Map()};
  Object.assign(operation, {order, facts});
  for (const [name, tile] of Object.entries(nodes)) operation.nodes.set(name, tile);
  for (const name of removed ?? []) operation.nodes.delete(name);
  operations.set(key, operation);
}

const events = new EventSource("events");
events.addEventListener("reset", () => {
  for (const key of operations.keys()) stale.add(key);
  operations.clear();
});
events.addEventListener("message", (event) => take(JSON.parse(event.data)));
events.addEventListener("told", () => {
  link.textContent = "live";
  link.className = "live";
  draw();
});
events.addEventListener("error", () => {
  link.textContent = "connection lost, trying again";
  link.className = "lost";
});
setInterval(tick, 1000);
