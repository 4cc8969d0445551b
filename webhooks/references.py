"""Container image references: the grammar of the OCI distribution project's `reference` package.

    reference := name [":" tag] ["@" digest]
    name      := [domain "/"] component ("/" component)*
    domain    := host [":" port]

What stands before the first slash is a domain only if it has a dot, a colon or a capital, or is `localhost`;
otherwise the image is one of Docker Hub's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

MAX_NAME = 255
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::(?P<port>[0-9]{{1,5}}))?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_MAX_PORT = 65535


class NotAnImage(ValueError):
    """A text that no container runtime takes as an image; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A parsed image reference; what it does not say is empty."""

    domain: str
    path: str
    tag: str
    digest: str

    @property
    def floats(self) -> bool:
        """Whether the image may be another one tomorrow: tag `latest` or none, and no digest."""
        return not self.digest and self.tag in ("", "latest")


@lru_cache(maxsize=256)
def parse_image(text: str) -> ImageReference:
    """The image that `text` refers to. Raises NotAnImage."""
    if text != text.strip() or re.search(r"\s", text):
        raise NotAnImage("must not contain whitespace")
    name, at, digest = text.partition("@")
    if at:
        _check_digest(digest)
    name, tag = _split_tag(name)
    domain, path = _split_domain(name)
    _check_name(domain, path)
    return ImageReference(domain, path, tag, digest)


def _check_digest(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise NotAnImage("what follows @ must be a digest, such as sha256:<64 hexadecimal digits>")
    algorithm, _, digits = digest.partition(":")
    wanted = _DIGEST_LENGTHS.get(algorithm, len(digits))
    if len(digits) != wanted or (algorithm in _DIGEST_LENGTHS and digits != digits.lower()):
        raise NotAnImage(f"a {algorithm} digest has {wanted} lowercase hexadecimal digits")


def _split_tag(name: str) -> tuple[str, str]:
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, ""
    if not _TAG.fullmatch(tag):
        raise NotAnImage(
            "a tag has at most 128 letters, digits, '_', '.' or '-', and does not begin with . or -"
        )
    return head, tag


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_domain = any(mark in first for mark in ".:") or first == "localhost" or first != first.lower()
    return (first, rest) if slash and is_domain else ("", name)


def _check_name(domain: str, path: str) -> None:
    if domain:
        found = _DOMAIN.fullmatch(domain)
        if not found or int(found["port"] or 0) > _MAX_PORT:
            raise NotAnImage(f'"{domain}" is not a registry, which reads <host> or <host>:<port>')
    if path != path.lower():
        raise NotAnImage("the repository must be lowercase")
    for component in path.split("/"):
        if not _COMPONENT.fullmatch(component):
            raise NotAnImage(
                "each part of the repository has lowercase letters and digits, separated by '.', '_', '__' or '-'"
            )
    if len(domain) + len(path) + bool(domain) > MAX_NAME:
        raise NotAnImage(f"registry and repository have at most {MAX_NAME} characters")
