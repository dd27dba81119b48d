"""Makes a page of each notebook when the site is built. Nothing in them is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages; mkdocs calls it once it knows the others."""
    exporter = MarkdownExporter()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        text, _ = exporter.from_filename(str(path))
        page = f"tutorial/{path.stem}.md"
        text = re.sub(r"\]\((\d\d_\w+)\.ipynb\)", r"](\1.md)", text)
        files.append(File.generated(config, page, content=text))
    return files
