from twisted.internet.task import react

from twisted_h11.client import Agent


async def main(reactor):
    agent = Agent(reactor)
    body = b"x" * 10_000_000
    response = await agent.request(b"PUT", b"http://127.0.0.1:8080/", None, body)
    async for data in response:
        print(response.code, data.decode())


react(main)
