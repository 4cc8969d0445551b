"""`kairos-operator validate`: what it prints and how it exits."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pytest
import yaml

from kairos_operator.validate import add_validate_flags, validate_files

GOOD = """\
apiVersion: operator.kairos.io/v1alpha1
kind: NodeOpUpgrade
metadata:
  generateName: kairos-upgrade-
spec:
  image: quay.io/kairos/hadron:v4.0.3
  concurrency: 1
"""
BAD = """\
# a comment
apiVersion: operator.kairos.io/v1alpha1
kind: NodeOp
metadata:
  name: reboot
spec:
  command: [reboot]
  concurency: 1
  hostMountPath: host
  nodeSelector:
    matchExpressions:
    - key: a b
      operator: In
"""
OTHER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def run(*args: str) -> int:
    parser = argparse.ArgumentParser()
    add_validate_flags(parser)
    return validate_files(parser.parse_args(args))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.yaml"


def test_good_files_pass(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{OTHER}---\n{GOOD}")
    assert run(str(file)) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "1 valid, 0 with faults, 1 of other kinds not looked at\n"


def test_every_fault_has_its_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{GOOD}---\n{BAD}")
    assert run(str(file)) == 1
    shift = GOOD.count("\n") + 1
    lines = capsys.readouterr().out.splitlines()
    places = [tuple(line.removeprefix(f"{file}:").split(": ")[:2]) for line in lines]
    assert places == [
        (f"{shift + 8}:3", "spec.concurency"),
        (f"{shift + 9}:3", "spec.hostMountPath"),
        (f"{shift + 12}:7", "spec.nodeSelector.matchExpressions[0].key"),
        (f"{shift + 12}:7", "spec.nodeSelector.matchExpressions[0].values"),
    ]
    assert 'did you mean "concurrency"?' in lines[0]


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BAD.encode()), "ascii"))
    assert run("-") == 1
    assert capsys.readouterr().out.startswith("-:8:3: spec.concurency: ")


def test_objects_in_a_list(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = [yaml.safe_load(text) for text in (GOOD, BAD, OTHER)]
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}))
    assert run(str(file)) == 1
    out, err = capsys.readouterr()
    assert "spec.hostMountPath: Invalid value" in out
    assert err.startswith("1 valid, 1 with faults, 1 of other kinds")


def test_the_defaulted_objects(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(
        BAD.replace("  concurency: 1\n  hostMountPath: host\n", "").replace("a b", "a\n      values: [x]")
    )
    assert run(str(file), "-o", "yaml", "--default-image", "mirror/busybox:1") == 0
    (obj,) = yaml.safe_load_all(capsys.readouterr().out)
    assert obj["spec"]["image"] == "mirror/busybox:1"
    assert obj["spec"]["drainOptions"]["timeoutSeconds"] == 300
    assert obj["metadata"] == {"name": "reboot"}


def test_with_output_the_faults_go_to_standard_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{GOOD}---\n{BAD}")
    assert run(str(file), "-o", "yaml") == 1
    out, err = capsys.readouterr()
    assert [obj["kind"] for obj in yaml.safe_load_all(out)] == ["NodeOpUpgrade"]
    assert "spec.hostMountPath" in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("v1alpha1", "v2"), ":1:1: apiVersion: Unsupported value"),
        (GOOD.replace("NodeOpUpgrade", "NodeOpp"), ":2:1: kind: Unsupported value"),
        (GOOD.replace("NodeOpUpgrade", "[]"), ":2:1: kind: Unsupported value"),
        (GOOD.replace("  generateName: kairos-upgrade-", "  {}"), "metadata.name: Required value"),
        (GOOD.replace("  concurrency: 1", "  image: a:1"), ":7:3: spec.image: Invalid value: "),
        (GOOD + "  y: z: 1\n", ":8:7: mapping values are not allowed here"),
        (GOOD + "status: {}\nextra: 1\n", ":9:1: extra: Forbidden: unknown field"),
        (
            GOOD.replace("apiVersion: operator.kairos.io/v1alpha1\n", ""),
            ":1:1: apiVersion: Unsupported value: null",
        ),
        ("hello\n", ':1:1: <nil>: Invalid value: "hello": must be an object with apiVersion and kind'),
        ("- a\n", ':1:1: <nil>: Invalid value: ["a"]: must be an object'),
        (GOOD + "--- 5\n", ":8:5: <nil>: Invalid value: 5"),
        (GOOD.replace("generateName: kairos-upgrade-", "name: 5"), ":4:3: metadata.name: Invalid value: 5"),
        (GOOD.replace("spec:", "  namespace: a.b\nspec:"), ":5:3: metadata.namespace: Invalid value"),
        (GOOD.replace("spec:", f"  namespace: {'a' * 64}\nspec:"), ":5:3: metadata.namespace: Invalid value"),
        (GOOD.replace("spec:", "  labels: {a: 1}\nspec:"), ":5:12: metadata.labels[a]: Invalid value: 1"),
        (GOOD.replace("spec:", "  labels: {a: b c}\nspec:"), ":5:12: metadata.labels[a]: Invalid value"),
        (GOOD.replace("spec:", "  labels: x\nspec:"), ":5:3: metadata.labels: Invalid value"),
        (GOOD.replace("spec:", "  annotations: {a b: c}\nspec:"), ":5:17: metadata.annotations[a b]: "),
        (
            GOOD.replace("spec:", "  nmespace: a\nspec:"),
            "metadata.nmespace: Forbidden: unknown field; did you mean",
        ),
        (
            GOOD.replace("metadata:\n  generateName: kairos-upgrade-", "metadata: x"),
            ":3:1: metadata: Invalid value",
        ),
    ],
    ids=range(20),
)
def test_what_else_is_a_fault(file: Path, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    file.write_text(text)
    assert run(str(file)) == 1
    assert said in capsys.readouterr().out


def test_a_risk_is_told_and_is_no_fault(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(GOOD.replace(":v4.0.3", ""))
    assert run(str(file)) == 0
    assert f"{file}:6:3: warning: spec.image: " in capsys.readouterr().out


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    binary = tmp_path / "b"
    binary.write_bytes(b"\xff\xfe\x00")
    assert run(str(tmp_path / "none"), str(binary)) == 2
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / 'none'}: No such file or directory",
        f"{binary}: not UTF-8",
    ]


def test_labels_and_annotations_that_an_api_server_takes(file: Path) -> None:
    metadata = (
        "  namespace: a-b\n  labels: {kairos.io/a: B_c}\n  annotations: {Kairos.IO/A: 'any text'}\n  uid: x\n"
    )
    file.write_text(GOOD.replace("spec:", f"{metadata}spec:"))
    assert run(str(file)) == 0


def test_files_are_utf_8_whatever_the_terminal_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOD.replace("concurrency: 1", "excludePaths: [/h\u00f6]")
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert run(str(file), "-o", "yaml") == 0
    assert "/h\u00f6" in capsys.readouterr().out


def test_anchors_within_a_document_are_followed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The place is the anchor's, where the fault has to be mended."""
    items = "apiVersion: v1\nkind: List\nitems:\n" + "".join(
        f"- apiVersion: operator.kairos.io/v1alpha1\n  kind: NodeOp\n  metadata: {{name: {name}}}\n  spec: {spec}\n"
        for name, spec in (("a", "&s {command: [a], image: a b}"), ("b", "*s"))
    )
    file.write_text(items)
    assert run(str(file)) == 1
    assert [line.split(": ")[0] for line in capsys.readouterr().out.splitlines()] == [f"{file}:7:27"] * 2
