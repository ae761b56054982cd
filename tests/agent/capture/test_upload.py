"""What is sent of a machine arrives whole, whatever breaks on the way, or the order fails."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.captured import Captured, Part, read_range
from ironwake.errors import BrokenError, GoneError, RefusedError
from ironwake_agent.capture import upload
from ironwake_agent.capture.upload import Upload
from ironwake_agent.client import Answer, UnreachableError
from tests.agent.rig import Clock

URL = "http://192.0.2.10/deployments/t/capture/pack"


@dataclass
class Appliance:
    """Takes parts; `faults` says for each request what happens: a status, or how much gets in."""

    faults: list[str | int] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    asked: list[str] = field(default_factory=list)

    def __call__(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        assert url == URL
        self.asked.append(method)
        fault = self.faults.pop(0) if self.faults else ""
        if isinstance(fault, int) and fault >= 400:
            return Answer(fault, b"# no\n")
        if method == "GET":
            if fault:
                raise UnreachableError("no whole answer")
            return Answer(200, f"{len(self.content)}\n".encode())
        assert body is not None
        start, count = read_range((headers or {})["Content-Range"])
        assert count == len(body)
        if start != len(self.content):
            return Answer(409, b"# elsewhere\n")
        if isinstance(fault, int):
            self.content += body[:fault]
            raise UnreachableError("the connection broke")
        self.content += body
        if fault:
            raise UnreachableError("the reply was lost")
        return Answer(200, b"")


def sending(there: Appliance, clock: Clock, piece: int = 10) -> Upload:
    return Upload(URL, clock.patience(30.0), lambda _: None, request=there, piece=piece)


@given(
    st.lists(st.binary(max_size=50), max_size=12),
    st.lists(st.one_of(st.integers(0, 9), st.sampled_from([503, 409, 507, "lost"])), max_size=12),
)
def test_all_of_it_arrives_once(data: list[bytes], faults: list[str | int]) -> None:
    """Broken in the middle, answered and lost, refused for now: each byte once, in order."""
    there = Appliance(faults)
    part = sending(there, Clock(), piece=10)
    for one in data:
        part.write(one)
    whole = b"".join(data)
    assert part.end() == Part(len(whole), hashlib.sha256(whole).hexdigest())
    assert bytes(there.content) == whole


@pytest.mark.parametrize("status", [404, 410, 413])
def test_a_final_no_ends_it_at_once(status: int) -> None:
    """What no repeat changes is not repeated."""
    there, clock = Appliance([status]), Clock()
    with pytest.raises(RefusedError, match=f"does not take the image: .*{status}"):
        sending(there, clock).write(bytes(10))
    assert there.asked == ["PUT"]
    assert not clock.pauses


def test_silence_ends_it_after_its_patience() -> None:
    """An appliance without room for too long: the order fails, with its words."""
    there, clock = Appliance([507] * 1000), Clock()
    with pytest.raises(BrokenError, match="took nothing of the image for 30 s"):
        sending(there, clock).write(bytes(10))
    assert clock.now >= 30


def test_another_content_there_is_never_continued() -> None:
    """More bytes than were sent are somebody else's: nothing is put behind them."""
    there = Appliance(content=bytearray(25))
    with pytest.raises(BrokenError, match="has 25 bytes, and 0 to 10 are being sent"):
        sending(there, Clock()).write(bytes(10))
    assert len(there.content) == 25


def test_an_ended_deployment_stops_it() -> None:
    """Cancelled by a person: nothing more is sent."""
    there = Appliance()

    def check() -> None:
        raise GoneError("over")

    part = Upload(URL, Clock().patience(30.0), lambda _: None, check, there, 10)
    with pytest.raises(GoneError):
        part.write(bytes(10))
    assert there.asked == []


def test_the_last_word_is_repeated_until_it_is_heard() -> None:
    """Its reply may be lost as any other."""
    answers: list[Answer | UnreachableError] = [
        UnreachableError("lost"),
        Answer(503, b""),
        Answer(200, b"0\n"),
    ]
    said: list[bytes | None] = []

    def request(
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        assert (method, url) == ("PUT", "http://192.0.2.10/c/done")
        said.append(body)
        answer = answers.pop(0)
        if isinstance(answer, UnreachableError):
            raise answer
        return answer

    upload.finish("http://192.0.2.10/c", Captured(), Clock().patience(30.0), request)
    assert len(said) == 3
    assert len(set(said)) == 1
