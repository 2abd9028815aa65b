"""What the headers of a CCD image say: the detector, the sections, the transformations, the sky.

The keywords are those of azcam, which are NOAO's for mosaics; where azcam's values contradict each other for windows,
flips or an underscan, these follow from one relation (`devices.pipelines.ccd.sections`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from devices.core.errors import BadValueError
from devices.pipelines.ccd.ccd_image import Card, CcdImage, Group
from devices.pipelines.ccd.sections import AmpAxis, amp_axes, section, shown, trimmed
from devices.pipelines.ccd.wcs import Placement, Wcs, image_wcs

#: What describes the pixels themselves: nobody else says it.
RESERVED = frozenset(
    "SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 EXTEND PCOUNT GCOUNT BZERO BSCALE CHECKSUM DATASUM END CONTINUE".split()
)
_COMMENTARY = ("COMMENT", "HISTORY")
_RULER = "=" * 66


def primary_cards(image: CcdImage, file_name: str, extensions: int) -> list[Card]:
    """Of the whole image: its detectors, then the keywords of each tool below a banner, sorted."""
    geometry, plane = image.geometry, image.geometry.focal_plane
    columns, rows = geometry.format.columns, geometry.format.rows
    cards = [
        Card("DETSIZE", section((1, columns), (1, rows)), "unbinned pixels of the mosaic"),
        Card("CCDSUM", f"{geometry.columns.binning} {geometry.rows.binning}", "binning"),
        Card("CCDBIN1", geometry.columns.binning, "binning of columns"),
        Card("CCDBIN2", geometry.rows.binning, "binning of rows"),
        Card("FILENAME", file_name, "name when written"),
        Card("NCCDS", plane.detectors_x * plane.detectors_y, "detectors"),
        Card("NAMPS", plane.amps, "amplifiers"),
    ]
    if extensions:
        cards.insert(0, Card("NEXTEND", extensions, "extensions"))
    own = {card.keyword: card for card in cards}
    merged: list[tuple[str, dict[str, Card], list[Card]]] = []
    for group in _with_focal_plane(image):
        named: dict[str, Card] = {}
        for card in group.cards:
            keyword = _allowed(card).keyword.upper()
            if keyword in own:
                own[keyword] = card
            elif keyword not in _COMMENTARY:
                named[keyword] = card
                for _, others, _ in merged:
                    others.pop(keyword, None)
        merged.append((group.title, named, [card for card in group.cards if card.keyword.upper() in _COMMENTARY]))
    result = list(own.values())
    for title, named, comments in merged:
        if named or comments:
            result += [Card("COMMENT", text) for text in (_RULER, title, _RULER)]
            result += comments + [named[keyword] for keyword in sorted(named)]
    return result


def extension_cards(image: CcdImage, amp: int) -> list[Card]:
    """Of one amplifier's image in the order of reading; `amp` from 0."""
    plane = image.geometry.focal_plane
    x, y = axes = amp_axes(image.geometry, amp)
    column, row = plane.detector(amp)
    detector = row * plane.detectors_x + column + 1
    cards = [
        Card("EXTNAME", f"IM{amp + 1}", "name of this extension"),
        Card("INHERIT", True, "the keywords of the primary header hold, too"),
        Card("BUNIT", "adu", "unit of the pixels"),
        Card("IMAGEID", amp + 1, "number of this image"),
        Card("CCDNAME", f"ccd{detector}", "detector"),
        *_section_cards(image, x, y, is_amp=True),
        *_transformation_cards(x, y, is_amp=True),
        *_sky_cards(image, amp, axes),
        Card("AMP-CFG", plane.flips[amp], "0 not flipped, 1 in x, 2 in y, 3 in both"),
        Card("DET-NUM", detector, "number of the detector"),
        Card("EXT-NUM", amp + 1, "number of the extension"),
        Card("JPG-EXT", amp + 1, "place in pictures of the whole"),
        Card("DET-POSX", column + 1, "column of the detector in the mosaic"),
        Card("DET-POSY", row + 1, "row of the detector in the mosaic"),
        Card("EXT-POSX", x.place + 1, "column of the amplifier in the mosaic"),
        Card("EXT-POSY", y.place + 1, "row of the amplifier in the mosaic"),
        Card("AMP-PIX1", _corner(x), "column of the amplifier's corner"),
        Card("AMP-PIX2", _corner(y), "row of the amplifier's corner"),
    ]
    return _replaced(cards, image.extensions[amp] if amp < len(image.extensions) else ())


def picture_cards(image: CcdImage, trim: bool) -> list[Card]:
    """Of all amplifiers in one picture; of where its pixels are only as far as they are at regular distances."""
    cards = [Card("BUNIT", "adu", "unit of the pixels")]
    axes = _picture_axes(image, trim)
    if axes is not None:
        plane, is_amp = image.geometry.focal_plane, image.geometry.amps == 1
        cards += [*_section_cards(image, *axes, is_amp), *_transformation_cards(*axes, is_amp)]
        has_gaps = image.sky is not None and any(placement != Placement() for placement in image.sky.placements)
        if plane.detectors_x * plane.detectors_y == 1 or not has_gaps:
            cards += _sky_cards(image, 0, axes)
    if image.geometry.amps == 1:
        return _replaced(cards, image.extensions[0] if image.extensions else ())
    return cards


def _section_cards(image: CcdImage, x: AmpAxis, y: AmpAxis, is_amp: bool) -> Iterator[Card]:
    geometry, plane = image.geometry, image.geometry.focal_plane
    columns, rows = geometry.format.columns, geometry.format.rows
    data = section(x.data(), y.data())
    yield Card("DETSIZE", section((1, columns), (1, rows)), "unbinned pixels of the mosaic")
    yield Card("CCDSUM", f"{x.window.binning} {y.window.binning}", "binning")
    yield Card("DATASEC", data, "pixels of this image that saw light")
    yield Card("TRIMSEC", data, "pixels of this image to keep")
    if bias := x.bias():
        yield Card("BIASSEC", section(bias, y.data()), "pixels of this image without light")
    elif bias := y.bias():
        yield Card("BIASSEC", section(x.data(), bias), "pixels of this image without light")
    yield Card("DETSEC", section(x.mosaic(), y.mosaic()), "DATASEC in the mosaic, unbinned")
    if is_amp:
        size = section((1, columns // plane.detectors_x), (1, rows // plane.detectors_y))
        yield Card("CCDSIZE", size, "unbinned pixels of a detector")
        yield Card("CCDSEC", section(x.detector(), y.detector()), "DATASEC on its detector, unbinned")
        yield Card("CCDSEC1", section(x.detector_binned(), y.detector_binned()), "DATASEC on its detector, binned")
        yield Card("AMPSEC", section(x.amplifier(), y.amplifier()), "DATASEC from the amplifier's corner")
    yield Card("OVRSCAN1", x.window.overscan, "columns of overscan")
    yield Card("OVRSCAN2", y.window.overscan, "rows of overscan")
    yield Card("PRESCAN1", x.window.underscan, "columns of underscan")
    yield Card("PRESCAN2", y.window.underscan, "rows of underscan")


def _transformation_cards(x: AmpAxis, y: AmpAxis, is_amp: bool) -> Iterator[Card]:
    """Physical coordinates are unbinned pixels of the mosaic."""
    yield Card("LTM1_1", x.ltm, "image pixels for a physical one")
    yield Card("LTM2_2", y.ltm, "image pixels for a physical one")
    yield Card("LTV1", x.ltv, "image pixel of physical pixel 0")
    yield Card("LTV2", y.ltv, "image pixel of physical pixel 0")
    if is_amp:
        yield Card("ATM1_1", x.atm, "amplifier pixels for a physical one")
        yield Card("ATM2_2", y.atm, "amplifier pixels for a physical one")
        yield Card("ATV1", x.atv, "amplifier pixel of physical pixel 0")
        yield Card("ATV2", y.atv, "amplifier pixel of physical pixel 0")
    yield Card("DTM1_1", 1, "mosaic pixels for a physical one")
    yield Card("DTM2_2", 1, "mosaic pixels for a physical one")
    yield Card("DTV1", 0, "mosaic pixel of physical pixel 0")
    yield Card("DTV2", 0, "mosaic pixel of physical pixel 0")


def _sky_cards(image: CcdImage, amp: int, axes: tuple[AmpAxis, AmpAxis]) -> list[Card]:
    return list(_wcs_cards(image_wcs(image.sky, image.geometry, amp, axes))) if image.sky else []


def _wcs_cards(wcs: Wcs) -> Iterator[Card]:
    yield Card("EQUINOX", wcs.equinox_years, "of the coordinates, years")
    yield Card("WCSDIM", 2, "axes of the coordinates")
    for n in (0, 1):
        yield Card(f"CTYPE{n + 1}", wcs.axes[n], "coordinate and projection")
        yield Card(f"CUNIT{n + 1}", "deg", "unit of the coordinate")
        yield Card(f"CRVAL{n + 1}", float(wcs.values[n]), "coordinate of the reference pixel, deg")
        yield Card(f"CRPIX{n + 1}", float(wcs.pixel[n]), "reference pixel, in this image")
    for n in (0, 1):
        for m in (0, 1):
            yield Card(f"CD{n + 1}_{m + 1}", float(wcs.matrix[n, m]), "deg for a pixel of this image")


def _picture_axes(image: CcdImage, trim: bool) -> tuple[AmpAxis, AmpAxis] | None:
    """The axes of the whole picture; None: between its amplifiers lies an overscan, or pixels were not read."""
    amps = [tuple(map(shown, amp_axes(image.geometry, amp))) for amp in range(image.geometry.amps)]
    joined = []
    for number in (0, 1):
        axes = [trimmed(pair[number]) if trim else pair[number] for pair in amps]
        places = 1 + max(axis.place for axis in axes)
        first = min(axes, key=lambda axis: axis.place)
        if places > 1:
            if first.window.read != first.window.data:
                return None
            if any(axis.start != first.start + axis.place * first.unbinned for axis in axes):
                return None
            window = replace(first.window, data=first.window.data * places)
            first = replace(first, window=window)
        joined.append(first)
    return joined[0], joined[1]


def _with_focal_plane(image: CcdImage) -> list[Group]:
    plane = image.geometry.focal_plane
    cards = [Card("AZCAM-HEAD", "OK", "the header is complete")]
    for axis, detectors, amps in (("X", plane.detectors_x, plane.amps_x), ("Y", plane.detectors_y, plane.amps_y)):
        cards += [Card(f"{name}{axis}", detectors, f"detectors in {axis}") for name in ("N-DET-", "NUM-DET")]
        cards += [Card(f"{name}{axis}", amps, f"amplifiers in {axis}") for name in ("N-AMPS-", "NUM-AMP")]
    if image.sky:
        for number, pixel in enumerate(image.sky.reference_pixel, 1):
            cards.append(Card(f"REF-PIX{number}", pixel, "reference pixel of the focal plane"))
    title = "focalplane"
    theirs = [card for group in image.primary if group.title == title for card in group.cards]
    return [*(group for group in image.primary if group.title != title), Group(title, (*cards, *theirs))]


def _replaced(cards: list[Card], theirs: Iterable[Card]) -> list[Card]:
    """What the camera says in the place of what follows from the geometry; the rest behind it."""
    comments = []
    named = {card.keyword: card for card in cards}
    for card in theirs:
        if _allowed(card).keyword.upper() in _COMMENTARY:
            comments.append(card)
        else:
            named[card.keyword.upper()] = card
    return [*named.values(), *comments]


def _allowed(card: Card) -> Card:
    if card.keyword.upper() in RESERVED:
        raise BadValueError(f"keyword {card.keyword} describes the pixels; it cannot be given")
    return card


def _corner(axis: AmpAxis) -> int:
    return axis.start - axis.sign * (axis.first - 1)
