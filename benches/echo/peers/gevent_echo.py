"""Echo on gevent: prints where it listens, and serves until it is killed."""

from gevent.server import StreamServer

BUFFER_BYTES = 16 * 1024


def echo(stream, _addr):
    while True:
        data = stream.recv(BUFFER_BYTES)
        if not data:
            return
        stream.sendall(data)


server = StreamServer(("127.0.0.1", 0), echo, backlog=4096)
server.init_socket()
print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
