"""The file of tokens: who may open it, what a line may be, and what a token may do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from twin.core.errors import InputError
from twin.live.http.rates import RateLimit
from twin.live.http.tokens import ApiTokens, Role

SECRET = "correct-horse-battery-staple"


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "tokens"
    path.write_text(text)
    path.chmod(mode)
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(InputError) as refused:
        ApiTokens.read(path)
    return [str(problem) for problem in refused.value.problems]


def test_a_token_is_known_by_itself_and_by_its_digest(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"another-secret-of-somebody").hexdigest()
    path = written(
        tmp_path, f"# who  role\n\ncollector write {SECRET}\ngrafana read sha256:{digest}\n"
    )
    tokens = ApiTokens.read(path)
    holder = tokens.holder(SECRET)
    assert holder is not None
    assert (holder.name, holder.role) == ("collector", Role.WRITE)
    other = tokens.holder("another-secret-of-somebody")
    assert other is not None
    assert other.name == "grafana"
    # A digest is no token: who reads the file of digests can ask for nothing.
    assert tokens.holder(f"sha256:{digest}") is None
    assert tokens.holder(digest) is None
    assert tokens.holder("") is None
    assert SECRET not in repr(tokens)
    assert SECRET not in repr(holder)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o610])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, f"a read {SECRET}\n", mode)
    expected = f"{path}: --tokens: can be opened by others than its owner; chmod 600 {path}"
    assert problems(path) == [expected]


def test_every_wrong_line_is_told_and_no_secret_is(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        f"a raed {SECRET}\nb read short\nc read\na-b admin {SECRET}\na-b read {SECRET}\n"
        f"d read sha256:ABC\n-x read {SECRET}\n",
    )
    maker = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
    assert problems(path) == [
        f"{path}:1: the role of 'a' must be 'read', 'write' or 'admin'; did you mean 'read'?",
        f"{path}:2: the token of 'b' is shorter than 20 characters; {maker} makes one",
        f"{path}:3: must be NAME ROLE TOKEN; such as 'grafana read sha256:...'",
        f"{path}:5: a second token is called 'a-b'; give each a name of its own",
        f"{path}:6: the digest of 'd' must be 64 hexadecimal digits in lower case",
        f"{path}:7: the name may have letters, digits, '.', '_' and '-'; NAME ROLE TOKEN",
    ]


def test_a_file_without_tokens_or_none_at_all_is_told(tmp_path: Path) -> None:
    assert "holds no token" in problems(written(tmp_path, "# nobody\n"))[0]
    assert problems(tmp_path / "none") == [
        f"{tmp_path / 'none'}: --tokens: cannot be read: No such file or directory"
    ]


def test_an_admin_does_what_all_others_do_and_they_do_not() -> None:
    may = {(role, needed) for role in Role for needed in Role if role.may(needed)}
    admin = {(Role.ADMIN, needed) for needed in Role}
    assert may == {(Role.READ, Role.READ), (Role.WRITE, Role.WRITE)} | admin


def test_a_bucket_gives_what_it_holds_and_then_at_its_rate() -> None:
    limit = RateLimit(per_second=2, at_once=3)
    assert [limit.wait_s("a", 10.0) for _ in range(3)] == [0, 0, 0]
    assert limit.wait_s("a", 10.0) == pytest.approx(0.5)
    assert limit.wait_s("b", 10.0) == 0
    assert limit.wait_s("a", 10.5) == 0
    assert limit.wait_s("a", 10.5) == pytest.approx(0.5)
    # However long the pause was, no more than the bucket holds.
    assert [limit.wait_s("a", 1e6) for _ in range(4)] == [0, 0, 0, pytest.approx(0.5)]
