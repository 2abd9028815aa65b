"""The files of people and of tokens: what is taken, and that nothing unsafe is."""

from __future__ import annotations

import string
from pathlib import Path

import bcrypt
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import ConfigurationError
from servers.facility.web_settings import WebSettings
from servers.main import main
from servers.web.login.brake import MAX_KEYS, Brake
from servers.web.login.person import person_of
from servers.web.login.tokens import Tokens, read_tokens, token_line
from servers.web.login.users import Users, hash_line, read_users

PASSWORD = "grüne Kälte 4.2 K"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
BODY = "a" * 53


def file_of(folder: Path, text: str, mode: int = 0o640) -> Path:
    path = folder / "people"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    path.chmod(mode)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read_users(path)
    return str(refused.value)


def test_a_person_of_the_file_logs_in_with_the_right_password_only(tmp_path: Path) -> None:
    users = read_users(file_of(tmp_path, f"# operators\n\nanna:{HASH}\n"))
    assert users.check("anna", PASSWORD)
    for name, password in (
        ("anna", "grune Kalte 4.2 K"),
        ("bert", PASSWORD),
        ("bert", "nobody"),
        ("", ""),
        ("anna", ""),
    ):
        assert not users.check(name, password)


def test_what_htpasswd_writes_is_taken(tmp_path: Path) -> None:
    apache = HASH.replace("$2b$", "$2y$")
    assert read_users(file_of(tmp_path, f"anna:{apache}\r\n")).check("anna", PASSWORD)


def test_a_password_that_bcrypt_would_cut_is_wrong_and_no_fault() -> None:
    long = "x" * 72
    users = Users({"anna": bcrypt.hashpw(long.encode(), bcrypt.gensalt(10))})
    assert users.check("anna", long)
    for password in (long + "y", long * 10_000, "x" * 71 + "\0", "\ud800"):
        assert not users.check("anna", password)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("anna:$apr1$salt$hash", "MD5 of Apache"),
        ("anna:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "SHA-1"),
        ("anna:secret", "no bcrypt hash"),
        ("anna:rqXexS6ZhobKA", "no bcrypt hash"),
        ("anna:$6$salt$hash", "SHA-512"),
        (f"anna:$2x$12${BODY}", "faulty bcrypt"),
        (f"anna:$2y$05${BODY}", "cost 5, not 10 to 15"),
        (f"anna:$2y$20${BODY}", "cost 20"),
        (f"anna:$2y$12${BODY}:extra", "no bcrypt hash"),
        ("anna", "is not NAME:HASH"),
        (f"an na:$2y$12${BODY}", "a name has"),
        (f":$2y$12${BODY}", "a name has"),
    ],
)
def test_unsafe_and_broken_lines_are_refused_with_what_to_do_and_without_the_hash(
    tmp_path: Path, line: str, why: str
) -> None:
    text = refusal(file_of(tmp_path, f"bert:{HASH}\n{line}\n"))
    assert "line 2: " in text
    assert why in text
    assert BODY not in text and "secret" not in text


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = refusal(file_of(tmp_path, f"anna:x\nbert:{HASH}\nbert:{HASH}\n@staff\n"))
    assert all(part in text for part in ("line 1", "line 3: bert stands twice", "line 4"))


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    assert "chmod 640 people" in refusal(file_of(tmp_path, f"anna:{HASH}\n", 0o644))
    tokens = file_of(tmp_path, token_line("wall") + "\n", 0o640)
    with pytest.raises(ConfigurationError, match="chmod 600 people"):
        read_tokens(tokens)


lines = st.text(st.characters(exclude_characters="\n"), max_size=90)
names = st.text(string.ascii_letters + string.digits + "_.@+-", min_size=1, max_size=64)
hashes = st.builds(
    lambda kind, cost, body: f"$2{kind}${cost}${body}",
    st.sampled_from("aby"),
    st.integers(10, 12),
    st.text(string.ascii_letters + string.digits + "./", min_size=53, max_size=53),
)


@settings(max_examples=60, deadline=None)
@given(found=st.lists(lines, max_size=5))
def test_any_file_is_taken_or_refused_by_line(tmp_path_factory: pytest.TempPathFactory, found: list[str]) -> None:
    path = file_of(tmp_path_factory.mktemp("any"), "\n".join(found))
    try:
        users = read_users(path)
    except ConfigurationError as error:
        assert all(problem.startswith(("line ", "byte ")) for problem in error.problems)
    else:
        assert len(users.hashes) <= len(found)


@settings(max_examples=15, deadline=None)
@given(found=st.dictionaries(names, hashes, max_size=4))
def test_every_sound_file_is_taken_as_it_is(tmp_path_factory: pytest.TempPathFactory, found: dict[str, str]) -> None:
    path = file_of(tmp_path_factory.mktemp("sound"), "".join(f"{name}:{each}\n" for name, each in found.items()))
    assert read_users(path).hashes == {name: each.encode() for name, each in found.items()}


def test_a_token_belongs_to_one_name_and_short_or_doubled_ones_are_refused(tmp_path: Path) -> None:
    wall, door = token_line("wall"), token_line("door")
    tokens = read_tokens(file_of(tmp_path, f"{wall}\n{door}\n", 0o600))
    assert tokens.owner(door.partition(":")[2]) == "door"
    for other in ("", door, door.partition(":")[2][:-1], "\ud800" * 40):
        assert tokens.owner(other) is None
    same = "wall2:" + wall.partition(":")[2]
    with pytest.raises(ConfigurationError) as refused:
        read_tokens(file_of(tmp_path, f"{wall}\ndoor:short\nx y:{BODY}\n{same}\n", 0o600))
    assert [problem[:6] for problem in refused.value.problems] == ["line 2", "line 3", "line 4"]
    assert wall.partition(":")[2] not in str(refused.value)
    assert Tokens({}).owner("") is None


def test_a_line_for_the_file_is_made_and_can_be_read(tmp_path: Path) -> None:
    users = read_users(file_of(tmp_path, hash_line("anna", PASSWORD)))
    assert users.check("anna", PASSWORD)
    for name, password in (("an:na", PASSWORD), ("anna", "short"), ("anna", "ä" * 37)):
        with pytest.raises(ConfigurationError):
            hash_line(name, password)


def test_the_commands_add_and_replace_lines_and_nobody_else_can_read_them(tmp_path: Path) -> None:
    users, tokens = tmp_path / "users", tmp_path / "tokens"
    for name, word in (("anna", "the first one"), ("bert", PASSWORD), ("anna", PASSWORD)):
        done = CliRunner().invoke(main, ["password", name, str(users)], input=f"{word}\n{word}\n")
        assert done.exit_code == 0, done.output
    assert users.stat().st_mode & 0o777 == 0o600
    read = read_users(users)
    assert list(read.hashes) == ["bert", "anna"]
    assert read.check("anna", PASSWORD) and not read.check("anna", "the first one")
    said = [CliRunner().invoke(main, ["token", "wall", str(tokens)]).output.strip() for _ in range(2)]
    assert read_tokens(tokens).of == {"wall": said[1]}
    assert said[0] != said[1]
    short = CliRunner().invoke(main, ["password", "carl", str(users)], input="short\nshort\n")
    assert short.exit_code == 1 and "8 to 72 bytes" in short.output


def test_the_role_is_ones_own_or_the_highest_of_ones_groups_or_everybodys() -> None:
    web = WebSettings(
        roles={"anna": "view", "@staff": "operate", "@lab": "expert"},
        groups={"staff": ("anna", "bert", "carl"), "lab": ("carl",), "guests": ("dora",)},
    )
    roles = {name: person_of(name, web).role for name in ("anna", "bert", "carl", "dora", "@lab", "*")}
    assert roles == {
        "anna": "view", "bert": "operate", "carl": "expert", "dora": "view", "@lab": "expert", "*": "view",
    }  # fmt: skip
    assert person_of("dora", WebSettings(roles={"*": "operate"})).role == "operate"


def test_tries_run_full_and_drain_away_and_the_memory_is_bounded() -> None:
    now = [1000.0]
    brake = Brake(10, 600.0, lambda: now[0])
    for _ in range(10):
        assert brake.wait("10.1.2.3") == 0.0
        brake.count("10.1.2.3")
    assert brake.wait("10.1.2.3") == pytest.approx(60.0)
    assert brake.wait("10.1.2.4") == 0.0
    now[0] += 61.0
    assert brake.wait("10.1.2.3") == 0.0
    brake.count("10.1.2.3", -1)
    now[0] += 600.0
    assert brake.wait("10.1.2.3") == 0.0
    for number in range(2 * MAX_KEYS):
        brake.count(number)
    assert len(brake) == MAX_KEYS
