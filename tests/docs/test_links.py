"""Every link between the documents leads to a file that is there, and to a heading in it."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def prose(path: Path) -> str:
    """Without what is shown as code, where brackets are no links."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]+`", lambda code: re.sub(r"[\[\]()]", "", code[0]), text)


def anchors(path: Path) -> set[str]:
    """The names that sites give to headings: lower case, hyphens for spaces, no punctuation."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+)$", prose(path), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        numbered = (f"{name}-{count}" for count in range(1, 100))
        found.add(name if name not in found else next(n for n in numbered if n not in found))
    return found


def broken(document: Path) -> list[str]:
    found = []
    for target in re.findall(r"\]\(\s*([^)\s]+)", prose(document)):
        name, _, anchor = target.partition("#")
        if ":" in name:
            continue
        path = document.parent / name if name else document
        if not path.exists() or (anchor and anchor not in anchors(path)):
            found.append(target)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    assert broken(document) == []


def test_a_broken_link_is_seen(tmp_path):
    (tmp_path / "other.md").write_text("# Of `this` kind\n\n## Twice\n\n## Twice\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n[a](other.md) [b](other.md#of-this-kind) [c](other.md#twice-1) [d](#a-page)\n"
        "[e](gone.md) [f](other.md#gone) [g](#gone) [h](https://example.org/#x) `[i](j)`\n"
        "```\n[k](gone.md)\n```\n"
    )
    assert broken(page) == ["gone.md", "other.md#gone", "#gone"]


def pages(entry) -> list[str]:
    """The files that a navigation lists."""
    if isinstance(entry, str):
        return [entry]
    return [
        page
        for part in (entry.values() if isinstance(entry, dict) else entry)
        for page in pages(part)
    ]


def test_the_site_lists_every_page_once_and_the_index_leads_to_each():
    docs = ROOT / "docs"
    listed = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    there = sorted(path.relative_to(docs).as_posix() for path in docs.glob("**/*.md"))
    assert sorted(listed) == there
    linked = set(re.findall(r"\]\(([^)#]+\.md)", (docs / "index.md").read_text()))
    assert linked == set(there) - {"index.md"}
