%% bench_peer.erl: the same work in Erlang: processes instead of services.
%%
%% Run with: erl -noshell -s bench_peer main MODE ARGUMENT... (seconds last, in milliseconds)
%%   pair MS              two processes, one message in flight; messages, both ways counted
%%   ring TOKENS MS       1000 processes; hops
%%   call PAIRS MS        a request with a reference and its answer; round trips
%%   gen_server PAIRS MS  the same with gen_server:call, which also monitors the other side
%%   fanin PRODUCERS BATCH MS  messages to one process; the last of a batch is answered
%%   remote_call WINDOW MS  as call, with so many callers, between two nodes; round trips
%%   remote_send PRODUCERS BATCH MS  as fanin, between two nodes, 64 bytes each
%% Prints RESULT per_s=N.

-module(bench_peer).
-behaviour(gen_server).
-export([main/1, answerer/0, sink/0, end_with/1, init/1, handle_call/3, handle_cast/2]).

-define(RING_SIZE, 1000).
-define(LOOK_EVERY, 256).

main([Mode | Arguments]) ->
    Numbers = [list_to_integer(atom_to_list(A)) || A <- Arguments],
    io:format("RESULT per_s=~b~n", [round(run(Mode, Numbers))]),
    halt(0).

run(pair, [Ms]) -> pair(Ms);
run(ring, [Tokens, Ms]) -> ring(Tokens, Ms);
run(call, [Pairs, Ms]) -> call(fun spawn_answerer/0, fun request/2, Pairs, Ms);
run(gen_server, [Pairs, Ms]) -> call(fun start_server/0, fun gen_server:call/2, Pairs, Ms);
run(fanin, [Producers, Batch, Ms]) -> fanin(Producers, Batch, Ms);
run(remote_call, [Window, Ms]) -> remote_call(Window, Ms);
run(remote_send, [Producers, Batch, Ms]) -> remote_send(Producers, Batch, Ms).

now_ns() -> erlang:monotonic_time(nanosecond).

rate(Count, Begin) -> Count * 1.0e9 / (now_ns() - Begin).

%% pair

pair(Ms) ->
    Main = self(),
    spawn(fun() ->
        Pong = spawn(fun pong/0),
        Begin = now_ns(),
        Main ! {rate, 2 * ping(Pong, Begin + Ms * 1000000, 0), Begin}
    end),
    receive {rate, Count, Begin} -> rate(Count, Begin) end.

pong() -> receive From -> From ! ping, pong() end.

ping(Pong, Deadline, Count) ->
    ping_some(Pong, ?LOOK_EVERY),
    case now_ns() < Deadline of
        true -> ping(Pong, Deadline, Count + ?LOOK_EVERY);
        false -> Count + ?LOOK_EVERY
    end.

ping_some(_, 0) -> ok;
ping_some(Pong, N) ->
    Pong ! self(),
    receive ping -> ping_some(Pong, N - 1) end.

%% ring

ring(Tokens, Ms) ->
    Main = self(),
    spawn(fun() -> lead(Main, Tokens, Ms) end),
    receive {rate, Count, Begin} -> rate(Count, Begin) end.

lead(Main, Tokens, Ms) ->
    Members = lists:foldl(fun(_, [Next | _] = All) ->
        [spawn(fun() -> member(Next) end) | All]
    end, [self()], lists:seq(2, ?RING_SIZE)),
    Begin = now_ns(),
    [lists:nth(I * ?RING_SIZE div Tokens + 1, Members) ! token || I <- lists:seq(0, Tokens - 1)],
    Passes = leader(hd(Members), Tokens, Begin + Ms * 1000000, 0),
    Main ! {rate, Passes * ?RING_SIZE, Begin}.

member(Next) -> receive Token -> Next ! Token, member(Next) end.

leader(Next, Tokens, Deadline, Passes) ->
    receive Token -> Next ! Token end,
    case (Passes + 1) rem Tokens =/= 0 orelse now_ns() < Deadline of
        true -> leader(Next, Tokens, Deadline, Passes + 1);
        false -> Passes + 1
    end.

%% call

call(Start, Request, Pairs, Ms) ->
    Main = self(),
    [spawn(fun() ->
        Server = Start(),
        Begin = now_ns(),
        Count = caller(Request, Server, Begin + Ms * 1000000, 0),
        Main ! {rate, rate(Count, Begin)}
    end) || _ <- lists:seq(1, Pairs)],
    lists:sum([receive {rate, Rate} -> Rate end || _ <- lists:seq(1, Pairs)]).

caller(Request, Server, Deadline, Count) ->
    caller_some(Request, Server, ?LOOK_EVERY),
    case now_ns() < Deadline of
        true -> caller(Request, Server, Deadline, Count + ?LOOK_EVERY);
        false -> Count + ?LOOK_EVERY
    end.

caller_some(_, _, 0) -> ok;
caller_some(Request, Server, N) ->
    N = Request(Server, N),
    caller_some(Request, Server, N - 1).

spawn_answerer() -> spawn(fun answerer/0).

answerer() -> receive {From, Reference, N} -> From ! {Reference, N}, answerer() end.

request(Server, N) ->
    Reference = make_ref(),
    Server ! {self(), Reference, N},
    receive {Reference, Answer} -> Answer end.

start_server() ->
    {ok, Server} = gen_server:start(?MODULE, [], []),
    Server.

init([]) -> {ok, none}.

handle_call(N, _From, State) -> {reply, N, State}.

handle_cast(_, State) -> {noreply, State}.

%% fanin

fanin(Producers, Batch, Ms) ->
    Main = self(),
    Consumer = spawn(fun() ->
        Begin = now_ns(),
        Main ! {rate, consumer(Begin + Ms * 1000000, 0), Begin}
    end),
    [spawn(fun() -> producer(Consumer, Batch) end) || _ <- lists:seq(1, Producers)],
    receive {rate, Count, Begin} -> rate(Count, Begin) end.

consumer(Deadline, Count) ->
    receive
        {From, Reference, _} ->
            case now_ns() < Deadline of
                true -> From ! {Reference, go_on}, consumer(Deadline, Count + 1);
                false -> Count + 1
            end;
        N when is_integer(N) ->
            consumer(Deadline, Count + 1)
    end.

producer(Consumer, Batch) ->
    producer_some(Consumer, Batch - 1),
    go_on = request(Consumer, Batch),
    producer(Consumer, Batch).

producer_some(_, 0) -> ok;
producer_some(Consumer, N) ->
    Consumer ! N,
    producer_some(Consumer, N - 1).

%% remote: this node and a second one, which ends with it

with_second_node(Run) ->
    %% The daemon that knows the names of nodes; it stays.
    _ = os:cmd("epmd -daemon"),
    Name = "bench_peer" ++ os:getpid(),
    ok = start_distribution(list_to_atom(Name), 500),
    {ok, Host} = inet:gethostname(),
    Second = list_to_atom(Name ++ "b@" ++ Host),
    Path = filename:dirname(code:which(?MODULE)),
    Command = io_lib:format("erl -noinput -hidden -sname ~s -setcookie ~s -pa ~s",
                            [Name ++ "b", erlang:get_cookie(), Path]),
    open_port({spawn, lists:flatten(Command)}, []),
    wait_for_node(Second, 500),
    spawn(Second, ?MODULE, end_with, [node()]),
    Run(Second).

end_with(Node) ->
    monitor_node(Node, true),
    receive {nodedown, Node} -> halt(0) end.

start_distribution(Name, Tries) when Tries > 0 ->
    case net_kernel:start([Name, shortnames]) of
        {ok, _} -> ok;
        _ -> timer:sleep(20), start_distribution(Name, Tries - 1)
    end.

wait_for_node(Node, Tries) when Tries > 0 ->
    case net_kernel:connect_node(Node) of
        true -> ok;
        _ -> timer:sleep(20), wait_for_node(Node, Tries - 1)
    end.

remote_call(Window, Ms) ->
    with_second_node(fun(Node) ->
        Server = spawn(Node, ?MODULE, answerer, []),
        call(fun() -> Server end, fun request/2, Window, Ms)
    end).

sink() ->
    receive
        {From, Reference, _} -> From ! {Reference, go_on}, sink();
        _ -> sink()
    end.

remote_send(Producers, Batch, Ms) ->
    with_second_node(fun(Node) ->
        Main = self(),
        Sink = spawn(Node, ?MODULE, sink, []),
        [spawn(fun() ->
            Begin = now_ns(),
            Count = remote_producer(Sink, binary:copy(<<"x">>, 64), Batch,
                                    Begin + Ms * 1000000, 0),
            Main ! {rate, rate(Count, Begin)}
        end) || _ <- lists:seq(1, Producers)],
        lists:sum([receive {rate, Rate} -> Rate end || _ <- lists:seq(1, Producers)])
    end).

remote_producer(Sink, Payload, Batch, Deadline, Count) ->
    [Sink ! Payload || _ <- lists:seq(2, Batch)],
    go_on = request(Sink, Payload),
    case now_ns() < Deadline of
        true -> remote_producer(Sink, Payload, Batch, Deadline, Count + Batch);
        false -> Count + Batch
    end.
