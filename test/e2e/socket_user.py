"""A node whose clients choose what happens to their sockets: the service socket_user."""

from harness import Node, connect, free_port


class SocketUser(Node):
    """A node with test/service/socket_user.lua, which lists the requests."""

    def __init__(self, **settings):
        self.port = free_port()
        super().__init__(start="socket_user", user_port=self.port, **settings)
        self.wait_log(r"\] ready$")

    def ask(self, request):
        connection = connect(self.port)
        connection.sendall(request.encode() + b"\n")
        return connection
