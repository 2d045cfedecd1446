import os
import sys
from typing import Any, BinaryIO

from twisted.internet.task import react

from twisted_h11.client import Agent, FileBodyProducer, readBody


class Counted:
    """
    A file that says how much of it was read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.shown = 0

    def read(self, most: int) -> bytes:
        data = self.file.read(most)
        percent = 100 * self.file.tell() // (self.size or 1)
        if percent // 25 > self.shown // 25:
            print(f"{percent} %")
            self.shown = percent
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


async def main(reactor: Any, url: str, path: str) -> None:
    agent = Agent(reactor)
    with open(path, "rb") as file:
        body = FileBodyProducer(Counted(file))
        response = await agent.request(b"PUT", url.encode("ascii"), None, body)
        print(response.code, (await readBody(response)).decode(), end="")


react(main, sys.argv[1:])
