"""Tables of a comparison as text, Markdown, CSV, HTML, and plain values for JSON."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence

from ...engine.compare.charts import escaped
from ...engine.compare.html_report import page
from ...engine.compare.tables import markdown_row, markdown_text
from .comparison_tables import Column, Table, Value

GAP = "  "


def text_lines(tables: Sequence[Table]) -> Iterator[str]:
    """Lines for a terminal: figures to the right, words to the left."""
    for table in tables:
        yield from ("", table.title, "")
        rows = _shown(table)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [
                cell.ljust(width) if column.text is None else cell.rjust(width)
                for cell, width, column in zip(row, widths, table.columns, strict=True)
            ]
            yield GAP.join(cells).rstrip()
        yield from table.notes


def _shown(table: Table) -> list[list[str]]:
    """The headings, then each row as texts."""
    headings = [column.title for column in table.columns]
    return [headings, *(list(map(Column.shown, table.columns, row)) for row in table.rows)]


def markdown(tables: Sequence[Table]) -> str:
    """A heading, a table and its notes each."""
    parts = []
    for table in tables:
        headings, *rows = _shown(table)
        ruler = ["---" if column.text is None else "---:" for column in table.columns]
        lines = [f"## {markdown_text(table.title)}", "", *map(markdown_row, [headings, ruler])]
        lines += [*map(markdown_row, rows), *(f"\n{markdown_text(note)}" for note in table.notes)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def csv_text(tables: Sequence[Table]) -> str:
    """A line for each figure, with all digits; empty where it is not known."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(["table", "row", "figure", "value"])
    for table in tables:
        for place, row in enumerate(table.rows, 1):
            for column, value in zip(table.columns, row, strict=True):
                text = "" if value is None else value if isinstance(value, str) else repr(value)
                writer.writerow([table.key, place, column.key, text])
    return output.getvalue()


def html(tables: Sequence[Table]) -> str:
    """One file that needs no other."""
    sections = []
    for table in tables:
        headings, *rows = _shown(table)
        body = _html_row("th", headings) + "".join(_html_row("td", row) for row in rows)
        notes = "".join(f'<p class="dim">{escaped(note)}</p>' for note in table.notes)
        name = escaped(table.title)
        sections.append(f'<h2>{name}</h2><div class="wide"><table>{body}</table></div>{notes}')
    return page("prodtop plan compare", sections)


def _html_row(tag: str, texts: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escaped(text)}</{tag}>' for text in texts)}</tr>"


def values(tables: Sequence[Table]) -> dict[str, list[dict[str, Value]]]:
    """Rows of plain values, in SI units and bytes, by each table's key."""
    return {
        table.key: [
            {column.key: value for column, value in zip(table.columns, row, strict=True)}
            for row in table.rows
        ]
        for table in tables
    }


EXPORTERS: Mapping[str, Callable[[Sequence[Table]], str]] = {
    ".csv": csv_text,
    ".md": markdown,
    ".html": html,
}
"""What writes the tables, by the suffix of a file; `values` is for `.json`."""
