"""Files that hold no events: named by what they are, in one sentence instead of one a line."""

from typing import Final

__all__ = ["LATIN_1", "foreign_kind"]

_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x7fELF", "an executable"),
    (b"\xcf\xfa\xed\xfe", "an executable"),
    (b"\xce\xfa\xed\xfe", "an executable"),
    (b"\xca\xfe\xba\xbe", "an executable"),
    (b"#!", "a script"),
    (b"%PDF", "a PDF document"),
    (b"PAR1", "a Parquet file: export JSON lines or CSV"),
    (b"Obj\x01", "an Avro file: export JSON lines or CSV"),
    (b"ORC", "an ORC file: export JSON lines or CSV"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (xls?): save the table as CSV (UTF-8)"),
    (b"BZh", "compressed with bzip2: decompress it first (bunzip2)"),
    (b"\xfd7zXZ", "compressed with xz: decompress it first (unxz)"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: decompress it first (unzstd)"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
)
_ZIP: Final = b"PK\x03\x04"
_OFFICE: Final = (b"[Content_Types].xml", b"xl/", b"_rels/")
_UTF_16: Final = "text in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)"
_PAGES: Final = (b"<?xml", b"<!doctype", b"<html")
_SPACE: Final = b" \t\r\n"

LATIN_1: Final = "not in UTF-8 but, it seems, in Latin-1: convert it first (iconv -f WINDOWS-1252 -t UTF-8)"


def foreign_kind(head: bytes) -> str:
    """Return what a file is that holds no events, told by its first kilobytes; "" where it may hold some."""
    if head.startswith(_ZIP):
        if any(name in head for name in _OFFICE):
            return "an Excel workbook (xlsx): save the sheet as CSV (UTF-8)"
        return "a zip archive: unpack it first"
    for magic, kind in _MAGIC:
        if head.startswith(magic) and (len(magic) > 3 or not _is_table(head)):  # noqa: PLR2004 - short ones may be words
            return kind
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _alternates_with_nul(head):
        return _UTF_16
    if b"\0" in head:
        return "an executable" if head.startswith(b"MZ") else "a binary file, not text"
    if head.lstrip(_SPACE).lower().startswith(_PAGES):
        return "a page of HTML or XML: an error page that was saved in place of the export?"
    return ""


def _is_table(head: bytes) -> bool:
    """Tell whether the first line may be the header of a table: text with a delimiter."""
    line = head.partition(b"\n")[0]
    return line.isascii() and any(mark in line for mark in (b",", b";", b"\t"))


def _alternates_with_nul(head: bytes) -> bool:
    """Tell whether every second byte is zero, as in UTF-16 without a byte order mark."""
    even, odd = head[0:200:2], head[1:200:2]
    return len(odd) > 1 and (even.count(0) == len(even)) != (odd.count(0) == len(odd))
