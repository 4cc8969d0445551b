"""Image references: the cases of the distribution project's own tests, and what people get wrong."""

from __future__ import annotations

import pytest

from webhooks.references import NotAnImage, parse_image

SHA = "sha256:" + "0123456789abcdef" * 4

GOOD = {
    "busybox": ("", "busybox", "", ""),
    "busybox:latest": ("", "busybox", "latest", ""),
    "library/busybox:1.36": ("", "library/busybox", "1.36", ""),
    "foo.com/bar:8080": ("foo.com", "bar", "8080", ""),
    "foo:8080/bar": ("foo:8080", "bar", "", ""),
    "localhost/a": ("localhost", "a", "", ""),
    "a/b.c__d-e---f": ("", "a/b.c__d-e---f", "", ""),
    f"test.com/repo:tag@{SHA}": ("test.com", "repo", "tag", SHA),
    f"repo@{SHA}": ("", "repo", "", SHA),
    "192.168.1.1:5000/repo": ("192.168.1.1:5000", "repo", "", ""),
    "[2001:db8::1]:5000/repo:x": ("[2001:db8::1]:5000", "repo", "x", ""),
    "[2001:db8::1]/repo": ("[2001:db8::1]", "repo", "", ""),
    "xn--n3h.com/myimage:xn--n3h.com": ("xn--n3h.com", "myimage", "xn--n3h.com", ""),
    "Foo/bar": ("Foo", "bar", "", ""),
    "quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.4.2-k3sv1.30.11-k3s1": (
        "quay.io",
        "kairos/opensuse",
        "leap-15.6-standard-amd64-generic-v3.4.2-k3sv1.30.11-k3s1",
        "",
    ),
    "a:" + "t" * 128: ("", "a", "t" * 128, ""),
    "a" * 255: ("", "a" * 255, "", ""),
}

BAD = {
    "": "each part",
    ":justtag": "each part",
    "Uppercase:tag": "lowercase",
    "test:5000/Uppercase/lowercase:tag": "lowercase",
    "a b": "whitespace",
    " a": "whitespace",
    "a\n": "whitespace",
    "a:": "tag",
    "a:b:c": "each part",
    "a:-x": "tag",
    "a:" + "t" * 129: "tag",
    "a@": "digest",
    "repo@sha256:ffff": "digest",
    "repo@sha256:" + "f" * 34: "64",
    "repo@sha256:" + "F" * 64: "lowercase",
    "a//b": "each part",
    "a/": "each part",
    "/a": "each part",
    "a_.b": "each part",
    "-a.com/b": "registry",
    "a.com:70000/b": "registry",
    "a.com:/b": "registry",
    "a.com:" + "9" * 5000 + "/b": "registry",
    "https://quay.io/a": "registry",
    "[::1/b": "registry",
    "a" * 256: "255",
}


@pytest.mark.parametrize("text", GOOD)
def test_images(text: str) -> None:
    image = parse_image(text)
    assert (image.domain, image.path, image.tag, image.digest) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_image_and_why(text: str) -> None:
    with pytest.raises(NotAnImage, match=BAD[text]):
        parse_image(text)


def test_a_digest_of_an_algorithm_that_nobody_knows_is_let_through() -> None:
    """The grammar leaves algorithms open; what a registry makes of them is its affair."""
    assert parse_image("a@other:" + "f" * 33).digest.startswith("other:")


@pytest.mark.parametrize(
    ("text", "floats"),
    [("a", True), ("a:latest", True), ("a:1", False), (f"a@{SHA}", False), (f"a:latest@{SHA}", False)],
)
def test_what_may_be_another_image_tomorrow(text: str, floats: bool) -> None:
    assert parse_image(text).floats is floats
