"""Damage to FITS files, drawn at random: what archives, transfers and careless tools do to them.

`damaged(rng, content)` knows FITS blocks and cards alone, so it serves tables and images alike.
`odd_names(rng)` draws file names that readers stumble over.
"""

import gzip
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BLOCK, CARD = 2880, 80
Rng = np.random.Generator


@dataclass(frozen=True)
class Unit:
    """Where one HDU lies in a file: bytes start:data are its header, data:stop its data."""

    start: int
    data: int
    stop: int


def units(content: bytes) -> list[Unit]:
    """The HDUs of a whole FITS file."""
    found, start = [], 0
    while start < len(content) and (start == 0 or content[start : start + 8] == b"XTENSION"):
        data = start
        while not re.search(rb"(?:^|.{80})END {77}", content[data : data + BLOCK], re.DOTALL):
            data += BLOCK
            assert data < len(content), "a header without END: is the file whole?"
        data += BLOCK
        size = min(max(_data_size(content[start:data]), 0), len(content))
        stop = min(data + -(-size // BLOCK) * BLOCK, len(content))
        found.append(Unit(start, data, stop))
        start = stop
    return found


def _data_size(header: bytes) -> int:
    values = {
        header[at : at + 8].strip(): header[at + 10 : at + CARD].split(b"/")[0].strip()
        for at in range(0, len(header), CARD)
    }

    def value(key: str, default: int) -> int:
        text = values.get(key.encode(), b"")
        return int(text) if re.fullmatch(rb"-?\d{1,25}", text) else default

    axes = [value(f"NAXIS{i + 1}", 0) for i in range(min(value("NAXIS", 0), 9))]
    elements = math.prod(axes) if axes else 0
    return abs(value("BITPIX", 8)) // 8 * value("GCOUNT", 1) * (value("PCOUNT", 0) + elements)


def _cards(content: bytes, pattern: bytes = rb"[A-Z]") -> list[int]:
    """Offsets of the cards whose text begins with a pattern; END is none of them."""
    return [
        place
        for unit in units(content)
        for place in range(unit.start, unit.data, CARD)
        if re.match(pattern, content[place : place + CARD])
        and content[place : place + 4] != b"END "
    ]


def _pick(rng: Rng, choices: list[int]) -> int:
    return choices[int(rng.integers(len(choices)))]


def _set(content: bytes, place: int, card: bytes) -> bytes:
    return content[:place] + card[:CARD].ljust(CARD) + content[place + CARD :]


VALUES = {
    "unparsable": (b"1.2.3", b"'open", b"(1,", b"12 13", b"=", b"0x1F", b"1,5", b"\t7"),
    "blank": (b"", b"/ no value", b"''", b"'        '"),
    "huge": (b"1E400", b"9" * 25, b"1E300", b"2147483648", b"99999999999", b"1E-320"),
    "negative": (b"-1", b"-1E5", b"-2147483649"),
    "zero": (b"0", b"0.0"),
    "other type": (b"'text'", b"T", b"(1.0, 2.0)", b"1.5", b"'NaN'", b"NaN", b"INF", b"-INF"),
    "not ascii": ("'\u00c5ngstr\u00f6m'".encode(), b"\xff\xfe1", b"\x00\x01", b"1\x00", b"'\x80'"),
    "long": (
        b"'" + b"x" * 66 + b"&'",
        b"'" + b"../" * 22 + b"'",
        b"'a[b]{c}(d)'",
        b"'.'",
        b"'[1]'",
    ),
}


def _value(rng: Rng, content: bytes) -> tuple[str, bytes]:
    """A card with another value."""
    place = _pick(rng, _cards(content, rb"[A-Z][A-Z0-9_-]* *= "))
    kind = str(rng.choice(list(VALUES)))
    value = VALUES[kind][int(rng.integers(len(VALUES[kind])))]
    key = content[place : place + 8]
    return f"{key.decode().strip()} {kind} {value!r}", _set(content, place, key + b"= " + value)


def _card(rng: Rng, content: bytes) -> tuple[str, bytes]:
    """A card lost, repeated, garbled, or END where it was."""
    place = _pick(rng, _cards(content))
    card = content[place : place + CARD]
    other = _pick(rng, _cards(content))
    kinds = {
        "lost": b"",
        "comment": b"COMMENT " + card[:60],
        "repeated": content[other : other + CARD],
        "no equals sign": card.replace(b"=", b" ", 1),
        "lower case": card.lower(),
        "garbled": bytes(rng.integers(0, 256, CARD, dtype=np.uint8)),
        "comment not ascii": card[:50].ljust(50) + "/ caf\u00e9 \u00b5Jy \u2013".encode(),
        "ends here": b"END",
        "continued": b"CONTINUE  'more" + card[:20],
        "hierarch": b"HIERARCH " + card[:60],
    }
    kind = str(rng.choice(list(kinds)))
    return f"{card[:8].decode('latin1').strip()} {kind}", _set(content, place, kinds[kind])


def _column(rng: Rng, content: bytes) -> tuple[str, bytes]:
    """A column renamed, of another type, unit or scale; images get a card of another value."""
    places = _cards(content, rb"TTYPE\d")
    if not places:
        return _value(rng, content)
    place = _pick(rng, places)
    number = content[place + 5 : place + 8].decode().strip()
    named = _cards(content, rb"TTYPE\d")
    other = _pick(rng, named)
    changes = {
        "TTYPE": [b"'OTHER'", b"''", b"'counts'", content[other + 10 : other + 40], b"'\xe9'"],
        "TFORM": [
            b"'1J'", b"'1E'", b"'1A'", b"'8A'", b"'1L'", b"'3X'", b"'1C'", b"'0J'", b"'1PE(9)'",
            b"'1QJ(9)'", b"'99999999D'", b"'Z'", b"''", b"'2I'", b"'-1J'", b"'1B'", b"'K'",
        ],
        "TUNIT": [b"'furlong'", b"'eV'", b"''", b"'m2'", b"'\xb5m'", b"7", b"'KEV'", b"'cm2/'"],
        "TZERO": [b"1E300", b"32768", b"-5", b"'x'", b"NaN", b"2147483648"],
        "TSCAL": [b"0", b"-1", b"1E308", b"'y'", b"INF"],
        "TNULL": [b"0", b"1", b"'z'", b"-1"],
        "TDIM": [b"'(2,3)'", b"'(1)'", b"'(0)'", b"'(999999,9)'", b"'x'"],
        "TLMIN": [b"1", b"-7", b"1000", b"'q'", b"1.5"],
        "TDISP": [b"'F8.3'", b"'??'"],
    }  # fmt: skip
    key = str(rng.choice(list(changes)))
    value = changes[key][int(rng.integers(len(changes[key])))]
    card = f"{key + number:<8}= ".encode() + value
    same = [
        at
        for unit in units(content)
        if unit.start <= place < unit.data
        for at in range(unit.start, unit.data, CARD)
        if content[at : at + 8] == card[:8]
    ]
    # A card that is not there yet takes the place of TDISP or of a comment, if there is one.
    spare = [
        at for at in _cards(content, rb"COMMENT|HISTORY|TDISP|HDUVERS|ORIGIN|DATE") if at > place
    ]
    at = same[0] if same else (spare or [place])[0]
    return f"{key}{number} {value!r}", _set(content, at, card)


def _rows(rng: Rng, content: bytes) -> tuple[str, bytes]:
    """An HDU with no rows, fewer or more rows than it has."""
    place = _pick(rng, _cards(content, rb"NAXIS\d? |BITPIX|PCOUNT|GCOUNT|TFIELDS|THEAP"))
    value = str(rng.choice(["0", "1", "2", "7", "1000000", "4000000000", "-3", "999", "8", "-32"]))
    key = content[place : place + 8]
    changed = _set(content, place, key + b"= " + value.rjust(20).encode())
    if rng.random() < 0.5:  # consistent: the data go too
        unit = next(u for u in units(content) if u.start <= place < u.data)
        changed = changed[: unit.data] + changed[unit.stop :]
    return f"{key.decode().strip()} = {value}", changed


def _cut(rng: Rng, content: bytes) -> tuple[str, bytes]:
    size = int(rng.integers(len(content)))
    if rng.random() < 0.3:
        size = size // BLOCK * BLOCK
    return f"cut to {size}", content[:size]


def _padded(rng: Rng, content: bytes) -> tuple[str, bytes]:
    tails = [
        b"\0" * 17, b"\0" * BLOCK, b" " * BLOCK, b"\n", b"\x1a", b"junk" * 300,
        b"XTENSION= 'BINTABLE'", b"XTENSION= 'NONSENSE'".ljust(BLOCK),
        b"END".ljust(BLOCK), content[:BLOCK], content,
    ]  # fmt: skip
    number = int(rng.integers(len(tails)))
    return f"tail {tails[number][:12]!r} {len(tails[number])}", content + tails[number]


def _flipped(rng: Rng, content: bytes) -> tuple[str, bytes]:
    """Bytes changed at random: anywhere, or in one header or the data of one HDU."""
    values = np.frombuffer(content, np.uint8).copy()
    unit = units(content)[int(rng.integers(len(units(content))))]
    spans = [(0, len(content)), (unit.start, unit.data), (unit.data, max(unit.stop, unit.data + 1))]
    low, high = spans[int(rng.integers(3))]
    high = min(high, len(content))
    low = min(low, high - 1)
    places = rng.integers(low, high, int(rng.choice([1, 2, 8, 60])))
    values[places] = rng.integers(0, 256, len(places))
    return f"{len(places)} bytes of {low}-{high}", values.tobytes()


def _moved(rng: Rng, content: bytes) -> tuple[str, bytes]:
    """Bytes or blocks lost, inserted, exchanged; HDUs lost, repeated, in another order."""
    all_units = units(content)
    kind = str(
        rng.choice(["lost", "inserted", "zeros", "unit lost", "repeated", "order", "no primary"])
    )
    at = int(rng.integers(len(content)))
    size = int(rng.choice([1, 7, CARD, BLOCK]))
    unit = all_units[int(rng.integers(len(all_units)))]
    piece = content[unit.start : unit.stop]
    if kind == "lost":
        return f"lost {size} at {at}", content[:at] + content[at + size :]
    if kind == "inserted":
        return f"inserted {size} at {at}", content[:at] + b"\0" * size + content[at:]
    if kind == "zeros":
        return f"zeros {size} at {at}", content[:at] + b"\0" * size + content[at + size :]
    if kind == "unit lost":
        return f"unit lost at {unit.start}", content[: unit.start] + content[unit.stop :]
    if kind == "repeated":
        return f"unit repeated at {unit.start}", content[: unit.stop] + piece + content[unit.stop :]
    if kind == "order":
        others = [content[u.start : u.stop] for u in all_units[1:]]
        return "order", content[: all_units[0].stop] + b"".join(others[::-1])
    return "no primary", content[all_units[0].stop :]


def _packed(rng: Rng, content: bytes) -> tuple[str, bytes]:
    packed = gzip.compress(content, 1)
    kind = int(rng.integers(6))
    if kind == 0:
        return "gzip", packed
    if kind == 1:
        return "gzip cut", packed[: int(rng.integers(2, len(packed)))]
    if kind == 2:
        values = bytearray(packed)
        values[int(rng.integers(len(values)))] ^= int(rng.integers(1, 256))
        return "gzip flipped", bytes(values)
    if kind == 3:
        return "gzip twice", gzip.compress(packed)
    if kind == 4:
        return "gzip and a tail", packed + b"\0" * 100
    return "gzip and junk", packed + b"junk"


def _replaced(rng: Rng, content: bytes) -> tuple[str, bytes]:
    """Something else under the name of the file."""
    contents = {
        "empty": b"",
        "text": b"not a FITS file\n" * 400,
        "page": b"<!DOCTYPE html><html>404</html>",
        "zeros": bytes(len(content)),
        "noise": bytes(rng.integers(0, 256, 5000, dtype=np.uint8)),
        "first card": content[:CARD],
        "first block": content[:BLOCK],
        "gzip of nothing": gzip.compress(b""),
        "zip": b"PK\x03\x04" + b"\0" * 3000,
        "bzip2": b"BZh91AY&SY" + b"\0" * 3000,
        "text lines": content.replace(b"\n", b"\r\n"),
    }
    kind = str(rng.choice(list(contents)))
    return kind, contents[kind]


_KINDS: dict[Callable[[Rng, bytes], tuple[str, bytes]], float] = {
    _value: 6, _card: 4, _column: 5, _rows: 2, _cut: 2, _padded: 1, _flipped: 4, _moved: 2,
    _packed: 1, _replaced: 0.5,
}  # fmt: skip


def damaged(rng: Rng, content: bytes) -> tuple[str, bytes]:
    """Damage a whole, unpacked FITS file.

    Args:
        rng: decides all.
        content: bytes of the file.

    Returns:
        What was done, for messages, and the bytes of the damaged file.
    """
    weights = np.array(list(_KINDS.values()))
    labels = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        kind = list(_KINDS)[int(rng.choice(len(_KINDS), p=weights / weights.sum()))]
        label, changed = kind(rng, content)
        labels.append(f"{kind.__name__.strip('_')}: {label}")
        content = changed
        try:
            whole = len(units(content)) > 0 and bool(_cards(content, rb"[A-Z][A-Z0-9_-]* *= "))
        except AssertionError:
            whole = False
        if not whole:  # nothing that a further change could find its place in
            break
    return "; ".join(labels), content


def odd_names(rng: Rng, suffix: str) -> str:
    """A file name with signs that paths, shells, FITS tools or tables take for their own."""
    names = [
        "a b", "a[1]", "[x]", "a{2}", "a(b)", "a,b", "a;b", "a'b", 'a"b', "a%20b", "#1", "~", "-o",
        "--", "a\tb", "a\nb", "\u00e9\u4e2d\u6587", "\U0001f52d", "n" * 200, "a.b.c", "..a", "a*?",
        "$HOME", "a\\b", "None", "a+b=c&d", "\x7f", "a:b", "@list", "!a",
    ]  # fmt: skip
    return names[int(rng.integers(len(names)))] + suffix
