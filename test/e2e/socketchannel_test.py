"""skynet.socketchannel against a real Redis: pipelining, auth, crashes, hangs, and a backup."""

import socket

from evaluator import Evaluator, failure
from harness import SANITIZERS, Process, case, free_port, main, run, wait_until

# How a test service talks to Redis. Reads an answer as the protocol has it.
CLIENT = r"""
    socketchannel = require "skynet.socketchannel"

    local read = {}

    function reply(sock)
        local line = sock:readline("\r\n")
        return read[line:sub(1, 1)](sock, line:sub(2))
    end

    read["+"] = function(_, text) return true, text end
    read["-"] = function(_, text) return false, text end
    read[":"] = function(_, text) return true, math.tointeger(tonumber(text)) end
    read["$"] = function(sock, size)
        size = math.tointeger(tonumber(size))
        return true, size >= 0 and sock:read(size + 2):sub(1, -3) or nil
    end
    read["*"] = function(sock, count)
        local list = {}
        for i = 1, math.tointeger(tonumber(count)) do
            local _, value = reply(sock)
            list[i] = value
        end
        return true, list
    end

    function bytes(words)
        local pieces = { "*" .. #words .. "\r\n" }
        for _, word in ipairs(words) do
            pieces[#pieces + 1] = ("$%d\r\n%s\r\n"):format(#word, word)
        end
        return pieces
    end

    function ask(...)
        return channel:request(bytes { ... }, reply)
    end

    -- Runs f(1) ... f(count) in tasks of their own. Returns how many have failed.
    function together(count, f)
        local left, failed, done = count, 0, {}
        for i = 1, count do
            skynet.fork(function()
                if not pcall(f, i) then
                    failed = failed + 1
                end
                left = left - 1
                if left == 0 then
                    skynet.wakeup(done)
                end
            end)
        end
        skynet.wait(done)
        return failed
    end
"""


class Redis(Process):
    def __init__(self, *words, port=None):
        self.port = port or free_port()
        super().__init__(
            "redis-server", "--bind", "127.0.0.1", "--port", self.port,
            "--save", "", "--appendonly", "no", *words,
        )
        self.wait_log("eady to accept connections")


def client(node, port, options=""):
    node.run(CLIENT)
    node.run(f'channel = socketchannel.channel {{ host = "127.0.0.1", port = {port}, {options} }}')


@case
def requests_of_many_tasks_are_answered_in_their_order():
    with Redis() as redis, Evaluator() as node:
        client(node, redis.port)
        failed = node.run("""
            return together(100, function(i)
                for j = 1, 50 do
                    local key = i .. ":" .. j
                    assert(ask("set", key, key) == "OK")
                    assert(ask("get", key) == key)
                    assert(ask("get", "nothing") == nil)
                end
                ask("incrby", "sum", tostring(i))
            end)
        """)
        assert failed == "0"
        assert node.run('return ask("get", "sum")') == "5050"
        # One connection, beside the one that asks.
        assert "connected_clients:1" in node.run('return ask("info", "clients")')


@case
def long_values_and_error_replies_leave_the_order_as_it_is():
    with Redis() as redis, Evaluator() as node:
        client(node, redis.port)
        failed = node.run("""
            local long = ("x"):rep(5 * 1024 * 1024)
            return together(20, function(i)
                if i % 3 == 0 then
                    local ok, text = pcall(ask, "no such command")
                    assert(not ok and text:find("^ERR"))
                elseif i % 3 == 1 then
                    assert(ask("set", "k" .. i, long) == "OK")
                    assert(ask("get", "k" .. i) == long)
                else
                    assert(#ask("mget", "a", "b", "c") == 0)
                end
            end)
        """)
        assert failed == "0"


@case
def auth_comes_before_all_others_and_again_after_a_crash():
    options = 'auth = function(c) c:request(bytes { "auth", password }, reply) end'
    redis = Redis("--requirepass", "secret")
    with Evaluator() as node:
        client(node, redis.port, options)
        node.run('password = "wrong"')
        text = failure(node.run, 'return ask("ping")')
        assert "[Error: socket]" in text and "WRONGPASS" in text, text
        node.run('password = "secret"')
        assert node.run('return together(50, function() ask("ping") end)') == "0"
        redis.kill()
        with Redis("--requirepass", "secret", port=redis.port):
            assert node.run('return together(50, function() ask("ping") end)') == "0"


@case
def a_crash_in_the_middle_fails_who_waits_and_nobody_else():
    redis = Redis()
    with Evaluator() as node:
        client(node, redis.port)
        node.run('ask("set", "key", "value")')
        waiting = node.client()
        base = node.fd_count()
        waiting.send("""
            return together(20, function(i)
                ask("blpop", "queue" .. i, "0")
            end)
        """)
        wait_until(
            lambda: "blocked_clients:1" in _info(redis.port), "a client that is blocked"
        )
        redis.kill()
        assert waiting.receive() == "20"
        text = failure(node.run, 'return ask("ping")')
        assert "[Error: socket]" in text and "refused" in text, text
        with Redis(port=redis.port):
            assert node.run('return ask("ping")') == "PONG"
            node.wait_fds(base)


def _info(port):
    """What Redis tells of its clients, over a connection of the test's own."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"info clients\r\n")
        return connection.recv(65536).decode()


@case
def requests_go_on_while_the_server_is_killed_again_and_again():
    rounds = 3 if SANITIZERS else 6
    redis = Redis()
    port = redis.port
    with Evaluator() as node:
        client(node, port, "timeout = 500")
        node.run("is_over, answered, wrong = false, 0, 0")
        asking = node.client()
        asking.send("""
            together(50, function(i)
                local n = 0
                while not is_over do
                    n = n + 1
                    local text = i .. "/" .. n
                    local ok, answer = pcall(ask, "echo", text)
                    if ok and answer ~= text then
                        wrong = wrong + 1
                    elseif ok then
                        answered = answered + 1
                    else
                        skynet.sleep(1)
                    end
                end
            end)
            return wrong
        """)
        for _ in range(rounds):
            before = int(node.run("return answered"))
            wait_until(lambda: int(node.run("return answered")) > before + 1000, "answers")
            redis.kill()
            redis = Redis(port=port)
        before = int(node.run("return answered"))
        wait_until(lambda: int(node.run("return answered")) > before + 1000, "answers")
        node.run("is_over = true")
        assert asking.receive() == "0", "answers of other requests"
    redis.stop()


@case
def connect_waits_for_a_server_that_comes_later():
    port = free_port()
    with Evaluator() as node:
        client(node, port)
        waiting = node.client()
        waiting.send("return channel:connect()")
        node.wait_log("refused.*trying again in 1 s")
        with Redis(port=port):
            assert waiting.receive() == "true"
            assert node.run('return ask("ping")') == "PONG"


@case
def a_backup_takes_over_and_the_host_is_first_again():
    first, second = Redis(), Redis()
    with Evaluator() as node:
        backup = f'backup = {{ {{ host = "127.0.0.1", port = {second.port} }} }}'
        client(node, first.port, backup)
        node.run('ask("set", "who", "first")')
        first.kill()
        node.run('ask("set", "who", "second")')
        assert node.run('return ask("get", "who")') == "second"
        with Redis(port=first.port):
            second.kill()
            assert node.run('return tostring(ask("get", "who"))') == "nil"


@case
def a_server_that_hangs_costs_each_request_its_time_and_no_more():
    with Redis() as redis, Evaluator() as node:
        client(node, redis.port, "timeout = 50")
        assert node.run('return ask("ping")') == "PONG"
        redis.halt()
        try:
            text = failure(node.run, 'return ask("ping")')
            assert "no answer within 0.50 s" in text, text
            failed = node.run('return together(100, function() ask("ping") end)')
            assert failed == "100"
        finally:
            redis.go_on()
        check = 'assert(ask("echo", tostring(i)) == tostring(i))'
        assert node.run(f"return together(100, function(i) {check} end)") == "0"


@case
def a_late_answer_is_not_taken_for_another():
    with Redis() as redis, Evaluator() as node:
        client(node, redis.port)
        result = node.run("""
            local results = {}
            together(3, function(i)
                if i == 1 then
                    results[1] = pcall(channel.request, channel, bytes { "blpop", "q", "1" },
                        reply, nil, 20)
                else
                    results[i] = ask("echo", "e" .. i)
                end
            end)
            return tostring(results[1]), results[2], results[3], ask("echo", "e4")
        """)
        assert result == "false,e2,e3,e4", result


@case
def news_that_the_server_sends_by_itself_are_waited_for():
    with Redis() as redis, Evaluator() as node:
        client(node, redis.port)
        reader = node.client()
        reader.send("""
            news = socketchannel.channel { host = "127.0.0.1", port = %d }
            local first = news:request(bytes { "subscribe", "room" }, reply)
            is_subscribed = true
            local second = news:response(reply)
            return first[1], second[1], second[3]
        """ % redis.port)
        wait_until(lambda: node.run("return is_subscribed") == "true", "the subscription")
        node.run('ask("publish", "room", "hello")')
        assert reader.receive() == "subscribe,message,hello"


@case
def a_unix_domain_socket_is_a_host():
    with Evaluator() as node:
        path = node.folder / "redis.socket"
        with Redis("--unixsocket", path):
            node.run(CLIENT)
            node.run(f'channel = socketchannel.channel {{ host = "unix:{path}" }}')
            assert node.run('return together(50, function() ask("ping") end)') == "0"


def make_certificate(folder):
    """A certificate that signs itself, for redis.test. Returns the options of such a Redis."""
    certificate, key = folder / "redis.pem", folder / "redis.key"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", "/CN=redis.test", "-addext", "subjectAltName=DNS:redis.test",
        "-keyout", key, "-out", certificate)
    return ("--port", 0, "--tls-cert-file", certificate, "--tls-key-file", key,
            "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")


@case
def tls_is_an_option_of_the_socket():
    port = free_port()
    with Evaluator() as node:
        words = make_certificate(node.folder)
        with Redis("--tls-port", port, *words):
            tls = f'authorities = "{node.folder}/redis.pem", server_name = "%s"'
            client(node, port, f"options = {{ tls = {{ {tls % 'redis.test'} }} }}")
            assert node.run('return together(50, function() ask("ping") end)') == "0"
            client(node, port, f"options = {{ tls = {{ {tls % 'other.test'} }} }}")
            text = failure(node.run, 'return ask("ping")')
            assert "[Error: socket]" in text and "certificate" in text, text


@case
def a_name_is_looked_up():
    with Redis() as redis, Evaluator() as node:
        node.run(CLIENT)
        node.run(f'channel = socketchannel.channel {{ host = "localhost:{redis.port}" }}')
        assert node.run('return ask("ping")') == "PONG"


@case
def many_channels_close_when_nobody_holds_them():
    with Redis() as redis, Evaluator() as node:
        node.run(CLIENT)
        base = node.fd_count()
        node.run(f"""
            for _ = 1, 100 do
                local one = socketchannel.channel {{ host = "127.0.0.1", port = {redis.port} }}
                one:request(bytes {{ "ping" }}, reply)
            end
            collectgarbage()
            collectgarbage()
        """)
        node.wait_fds(base)


main()
