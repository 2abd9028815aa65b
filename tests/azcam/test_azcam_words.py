"""The words of a request, and replies that shells and consoles can split."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError, BusyError, RangeError
from servers.azcam import reply
from servers.azcam.argument import Argument, Arguments, flag, items, number, text, whole
from servers.azcam.words import Word, split_words

#: Line -> its words.
LINES = {
    "exposure.expose 2 flat": ["exposure.expose", "2", "flat"],
    "  get_par \t version  ": ["get_par", "version"],
    'exposure.expose 2. flat "a 450 nm flat field image"': [
        "exposure.expose",
        "2.",
        "flat",
        "a 450 nm flat field image",
    ],
    "set_image_title 'M 31, filter \"B\"'": ["set_image_title", 'M 31, filter "B"'],
    "set_image_title it's late": ["set_image_title", "it's", "late"],
    "set_filter '' # the empty place": ["set_filter", ""],
    "set_image_title NGC#1": ["set_image_title", "NGC#1"],
    "set_filename C:\\data\\a.fits": ["set_filename", "C:\\data\\a.fits"],
    "a 'it'\"'\"'s late' b": ["a", "it's late", "b"],
    'set_image_title "z=0.5" == x': ["set_image_title", "z=0.5", "==", "x"],
    "set_focalplane 1 1 2 2 '[0, 1, 2, 3]'": ["set_focalplane", "1", "1", "2", "2", "[0, 1, 2, 3]"],
    "": [],
    "# a remark": [],
}


@pytest.mark.parametrize("line", LINES)
def test_words_are_separated_by_blanks_and_kept_together_by_quotes(line: str) -> None:
    assert [word.whole for word in split_words(line)] == LINES[line]


def test_an_equal_sign_names_an_argument() -> None:
    assert split_words("expose exposure_time=2 image_title='z = 0.5' 1=2") == [
        Word("expose"),
        Word("2", "exposure_time"),
        Word("z = 0.5", "image_title"),
        Word("1=2"),
    ]


@pytest.mark.parametrize("line", ["a 'b", 'title="b', "x 'b'\"c"])
def test_a_quote_that_is_not_closed_is_refused(line: str) -> None:
    with pytest.raises(BadValueError, match="No closing quotation"):
        split_words(line)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=30), max_size=6))
def test_what_a_shell_quotes_arrives_as_it_was(texts: list[str]) -> None:
    assert [word.whole for word in split_words(shlex.join(texts))] == texts


@given(st.text(max_size=60))
def test_no_line_does_harm(line: str) -> None:
    try:
        words = split_words(line)
    except BadValueError:
        return
    assert all(isinstance(word.text, str) for word in words)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=30), max_size=6))
def test_items_of_a_list_come_out_of_the_reply_as_they_were(texts: list[str]) -> None:
    assert shlex.split(reply.ok(texts)) == ["OK", *texts]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_reply_can_always_be_split_and_is_one_line(said: str) -> None:
    for line in (reply.ok(said), reply.error(BusyError(said)), reply.ok({"title": said}, as_word=True)):
        assert shlex.split(line)[0] in ("OK", "ERROR")
        assert "\n" not in line and "\r" not in line


def test_values_are_written_as_azcam_does() -> None:
    assert reply.ok(None) == reply.ok("") == "OK"
    assert reply.ok("a 450 nm flat") == "OK a 450 nm flat"
    assert reply.ok(0.5) == "OK 0.5"
    assert reply.ok([1, 60, "clear filter", 2.5]) == "OK 1 60 'clear filter' 2.5"
    assert reply.ok([[1, 2], [3, "a b"]]) == "OK [1, 2] [3, 'a b']"
    assert reply.ok({"seqcount": 0}) == 'OK {"seqcount": 0}'
    assert reply.error(RangeError("seconds = -2")) == "ERROR RangeError('seconds = -2')"
    assert reply.error(AttributeError("'API' object")) == "ERROR AttributeError(\"'API' object\")"


EXPOSE = Arguments(
    (
        Argument("exposure_time", number, target="seconds"),
        Argument("image_type", text, others=("imagetype",)),
        Argument("title", text, rest=True),
    )
)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("2 flat a 450 nm flat", {"seconds": 2.0, "image_type": "flat", "title": "a 450 nm flat"}),
        ("imagetype=dark 2", {"seconds": 2.0, "image_type": "dark"}),
        ("seconds=2 title='z=1'", {"seconds": 2.0, "title": "z=1"}),
        ("2 flat z=1", {"seconds": 2.0, "image_type": "flat", "title": "z=1"}),
        ("", {}),
    ],
)
def test_arguments_come_by_place_and_by_name(line: str, values: dict[str, object]) -> None:
    assert EXPOSE.from_words(split_words(line)) == values


@pytest.mark.parametrize(
    ("line", "text"),
    [("soon", "exposure_time = 'soon' is not a number"), ("2 seconds=3", "exposure_time is given twice")],
)
def test_arguments_that_cannot_be_are_refused(line: str, text: str) -> None:
    with pytest.raises(BadValueError, match=text):
        EXPOSE.from_words(split_words(line))


def test_converters_take_texts_and_values() -> None:
    assert [flag(each, "state") for each in ("1", "True", 1, 1.0, "off", 0, False)] == [True] * 4 + [False] * 3
    assert whole("-1", "first_col") == -1 and whole("2.0", "n") == whole(2, "n") == 2
    assert items(whole)("[0, 1, 2, 3]", "amp_cfg") == items(whole)("0 1 2 3", "amp_cfg") == [0, 1, 2, 3]
    assert items(number)(["[[1, 1], [2, 1]]"], "XY") == [1.0, 1.0, 2.0, 1.0]
    assert items(text)(["ThAr", "HeNeAr"], "comps") == ["ThAr", "HeNeAr"]
    for kind, wrong in ((whole, "2.5"), (whole, "two"), (number, None), (flag, "open"), (items(whole), "[1, x]")):
        with pytest.raises(BadValueError):
            kind(wrong, "state")
