"""What MkDocs does beside building docs/: files of the repository that are pages of the site.

Links in docs/ work on GitHub. On the site, a link to one of these files leads to its page, and the
links in these files lead to pages of the site.
"""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "guides/security_policy.md",
    "benchmarks/RESULTS.md": "evidence/benchmarks.md",
}
_PLACES = {**PAGES, "README.md": "index.md"}
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    for source, place in PAGES.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    place = page.file.src_uri
    sources = {new: old for old, new in PAGES.items()}
    return rewrite_links(markdown, sources.get(place, f"docs/{place}"), place)


def rewrite_links(markdown: str, source: str, place: str) -> str:
    """Links of the file `source` of the repository, as its page `place` of the site has them."""

    def rewrite(match: re.Match[str]) -> str:
        target = normpath(str(PurePosixPath(source).parent / match[1]))
        new = _PLACES.get(target)
        if new is None and target.startswith("docs/"):
            new = target.removeprefix("docs/")
        return match[1] if new is None else relpath(new, str(PurePosixPath(place).parent))

    return _LINK.sub(rewrite, markdown)
