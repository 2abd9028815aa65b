"""Tcl lists, and what may stand in a message to DCSS."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devices.core.errors import BadValueError
from devices.drivers import dcs_text, tcl_list
from tests.support.real_tcl import RealTcl, RealTclError, real_tcl

__all__ = ["real_tcl"]

ASCII = st.text(st.characters(min_codepoint=1, max_codepoint=126), max_size=40)
# The characters that make lists hard, often.
HARD = st.text(st.sampled_from(list('ab{}\\ \n\t"[]$;#1x')), max_size=25)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("   ", []),
        ("a  b\tc\n", ["a", "b", "c"]),
        ("{a b} {} c", ["a b", "", "c"]),
        ("{0.1 {x y}} z", ["0.1 {x y}", "z"]),
        (r"a\ b \{ {\{}", ["a b", "{", r"\{"]),
        ('"a {b" c', ["a {b", "c"]),
        (r"\x41\u0042\103 \n", ["ABC", "\n"]),
        ("stog_x é", ["stog_x", "é"]),
    ],
)
def test_a_list_is_split_into_its_words(text: str, words: list[str]) -> None:
    assert tcl_list.split(text) == words


@pytest.mark.parametrize("text", ["{a", "a {b} {", "{a}b", '"a', '"a"b', "{a\\}"])
def test_a_list_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadValueError, match="list = "):
        tcl_list.split(text)


@pytest.mark.parametrize(
    ("word", "quoted"), [("", "{}"), ("a", "a"), ("a b", "{a b}"), ("{", r"\{"), ("a\\", "a\\\\"), ("} {", r"\}\ \{")]
)
def test_a_word_is_quoted_the_shortest_way(word: str, quoted: str) -> None:
    assert tcl_list.quote(word) == quoted


@given(st.lists(ASCII | HARD, max_size=6))
@example(["\\\n"])
@example(["a\\\n b", "{\\", "#"])
def test_words_that_are_joined_are_split_again(words: list[str]) -> None:
    assert tcl_list.split(tcl_list.join(words)) == words


@given(words=st.lists(ASCII | HARD, max_size=6))
def test_tcl_itself_reads_our_lists(real_tcl: RealTcl, words: list[str]) -> None:
    assert real_tcl.split(tcl_list.join(words)) == words


@given(text=HARD | ASCII)
def test_lists_are_split_as_tcl_itself_splits_them(real_tcl: RealTcl, text: str) -> None:
    try:
        expected = real_tcl.split(text)
    except RealTclError:
        with pytest.raises(BadValueError):
            tcl_list.split(text)
    else:
        assert tcl_list.split(text) == expected


@given(st.text(max_size=60))
def test_what_we_say_can_be_evaluated_as_tcl(text: str) -> None:
    for said in (dcs_text.speakable(text), dcs_text.rest(text)):
        assert said.isascii() and said.isprintable() and not set(said) & set('[]$;"')
    assert tcl_list.is_balanced(dcs_text.rest(text))


@given(
    st.lists(st.text(max_size=30) | st.floats(-1e11, 1e11) | st.integers(-(10**9), 10**9) | st.booleans(), max_size=5)
)
def test_a_message_has_as_many_words_as_it_was_given(words: list[object]) -> None:
    text = dcs_text.compose("htos_note", words)
    assert len(tcl_list.split(text)) == 1 + len(words)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (1.1, "1.100000"),
        (1e-7, "0.000000"),
        (-3, "-3"),
        (True, "1"),
        ("a b", "{a b}"),
        ("$x[0];", "Sx(0),"),
        ("", "{}"),
    ],
)
def test_values_are_spelled_as_dcss_spells_them(value: object, word: str) -> None:
    assert dcs_text.word(value) == word


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e12, -1e300, 10**13])
def test_a_number_that_dcss_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(BadValueError, match="number = "):
        dcs_text.word(value)


def test_texts_longer_than_dcss_can_hold_are_refused() -> None:
    assert dcs_text.word("x" * 79) == "x" * 79
    with pytest.raises(BadValueError, match="80 characters is longer than 79"):
        dcs_text.word("x" * 80)
    # 1024 with the NUL.
    assert len(dcs_text.compose("htos_log", tail="x" * 1014)) == 1023
    with pytest.raises(BadValueError, match="1025 byte is longer than 1024"):
        dcs_text.compose("htos_log", tail="x" * 1015)


def test_a_persons_text_loses_braces_that_do_not_balance() -> None:
    assert dcs_text.rest("{a} b") == "{a} b"
    assert dcs_text.rest("it is {odd\\") == "it is (odd"


def test_a_session_is_hidden() -> None:
    assert dcs_text.masked("start PRIVATE0123 5") == "start PRIVATE... 5"
