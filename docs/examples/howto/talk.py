"""
Two clients of the chat.
"""

from websockets.sync.client import connect

URL = "ws://127.0.0.1:8080/chat"

with connect(URL) as one, connect(URL) as other:
    one.send("hello")
    print("one:", one.recv(), "other:", other.recv())
    other.send("bye")
    print("one:", one.recv(), "other:", other.recv())
