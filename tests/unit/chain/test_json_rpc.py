"""The transport: what a node answers, what it answers wrongly, and when it does not answer."""

import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from vpp_sim.chain.json_rpc import JsonRpc, RpcError
from vpp_sim.chain.rpc import RpcChain
from vpp_sim.chain.wallet import Wallet
from vpp_sim.errors import ChainError


class Server:
    """An HTTP server on loopback that answers each request with what `reply` makes of it."""

    def __init__(self, reply):
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.client_address[1], self.path, content))
                status, body = reply(content)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = outer.hangs_up

            def log_message(self, *arguments):
                pass

        self.hangs_up = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.block_on_close = False  # a connection that is kept open holds nothing up
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def echo(content):
    """Answer each call with its method; backwards if there are several."""
    if isinstance(content, list):
        answers = [{"id": call["id"], "jsonrpc": "2.0", "result": call["method"]} for call in reversed(content)]
    else:
        answers = {"id": content["id"], "jsonrpc": "2.0", "result": content["method"]}
    return 200, json.dumps(answers).encode()


def test_calls_and_batches_share_one_connection_and_answers_find_their_calls():
    with Server(echo) as server:
        node = JsonRpc(f"{server.url}/v2/token?x=1", timeout_s=5.0)
        assert node.call("eth_chainId", 1, "a") == "eth_chainId"
        assert node.batch([("a", ()), ("b", (1,)), ("c", ())]) == ["a", "b", "c"]
        assert node.batch([]) == []
        node.close()
    ports, paths, (single, several) = zip(*server.requests, strict=True)
    assert len(set(ports)) == 1
    assert set(paths) == {"/v2/token?x=1"}
    assert (single["method"], single["params"], single["jsonrpc"]) == ("eth_chainId", [1, "a"], "2.0")
    assert len({call["id"] for call in (single, *several)}) == 4


def test_a_connection_that_the_node_closed_is_opened_again():
    with Server(echo) as server:
        server.hangs_up = True
        node = JsonRpc(server.url, timeout_s=5.0)
        assert [node.call("a"), node.call("b")] == ["a", "b"]
        node.close()
    assert [request[2]["method"] for request in server.requests] == ["a", "b"]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((500, b"upstream is down"), r"node 127.0.0.1:\d+ answers HTTP 500: upstream is down"),
        ((200, b"<html>"), r"node 127.0.0.1:\d+ does not speak JSON-RPC"),
        ((200, b'{"id": 1}'), "the node did not answer eth_chainId"),
        ((200, b"null"), "the node did not answer eth_chainId: None"),
    ],
)
def test_what_is_no_answer_is_told(reply, message):
    with Server(lambda content: reply) as server:
        node = JsonRpc(server.url, timeout_s=5.0)
        with pytest.raises(ChainError, match=message):
            node.call("eth_chainId")
        node.close()


def test_an_error_of_the_node_keeps_its_data():
    reply = {"id": 1, "error": {"code": 3, "message": "execution reverted", "data": "0x1234"}}
    with Server(lambda content: (200, json.dumps(reply).encode())) as server:
        node = JsonRpc(server.url, timeout_s=5.0)
        with pytest.raises(RpcError, match="the node answered eth_call with: execution reverted") as caught:
            node.call("eth_call")
        node.close()
    assert caught.value.data == "0x1234"


def test_a_node_that_answers_no_batches_is_named():
    with Server(lambda content: (200, b'{"error": "no batches"}')) as server:
        node = JsonRpc(server.url, timeout_s=5.0)
        with pytest.raises(ChainError, match=r"does not answer batches: {'error': 'no batches'}"):
            node.batch([("a", ())])
        node.close()


def test_a_node_that_is_not_there_is_named_without_its_password():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node = JsonRpc(f"http://me:secret@127.0.0.1:{port}/secret", timeout_s=1.0)
    with pytest.raises(ChainError, match=f"node 127.0.0.1:{port} does not answer: ConnectionRefusedError") as caught:
        node.call("eth_chainId")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8545", "ws://127.0.0.1", "http://", "ftp://host/secret"])
def test_an_address_that_is_none_is_refused_without_showing_it(url):
    with pytest.raises(ChainError, match=r"begins with http:// or https:// and names a host") as caught:
        JsonRpc(url, timeout_s=1.0)
    assert "secret" not in str(caught.value)


def test_a_main_network_is_refused_by_the_first_answer():
    """Nothing but the chain id is asked of a node on Ethereum's main network."""
    with (
        Server(lambda content: (200, json.dumps({"id": content["id"], "result": "0x1"}).encode())) as server,
        pytest.raises(ChainError, match=r"the node is on Ethereum \(chain id 1\), a main network"),
    ):
        RpcChain(server.url, Wallet.of_seed(7, accounts=1), allow_main_network=True)
    assert [request[2]["method"] for request in server.requests] == ["eth_chainId"]


class SlowNode:
    """A node with a clock of its own, played by an HTTP server: each block is there after so many questions."""

    def __init__(self, questions):
        self.height, self.questions, self.left = 5, questions, questions

    def block(self, number):
        return {
            "number": hex(number), "hash": f"0x{number:064x}", "parentHash": f"0x{number - 1:064x}",
            "timestamp": hex(1_000 + 2 * number), "gasLimit": hex(30_000_000), "gasUsed": "0x0",
            "baseFeePerGas": hex(1_000), "transactions": [],
        }  # fmt: skip

    def answer(self, content):
        method, params = content["method"], content["params"]
        if method == "eth_getBlockByNumber":
            if params[0] == "latest":
                found = self.block(self.height)
            else:
                self.left -= 1
                if self.left == 0:
                    self.height, self.left = self.height + 2, self.questions  # two at once
                number = int(params[0], 16)
                found = self.block(number) if number <= self.height else None
        else:
            found = {"eth_chainId": "0x4d2", "web3_clientVersion": "Geth/v1.15"}[method]
        return 200, json.dumps({"id": content["id"], "result": found}).encode()


def test_a_node_with_a_clock_of_its_own_is_waited_for_and_no_block_is_skipped(monkeypatch):
    monkeypatch.setattr("vpp_sim.chain.rpc._POLL_S", 0.001)
    with Server(SlowNode(3).answer) as server:
        chain = RpcChain(server.url, Wallet.of_seed(7, accounts=1), patience_s=5.0)
        assert not chain.mines_on_demand
        blocks = [chain.mine(99) for _ in range(3)]
        with pytest.raises(ChainError, match=r"\(Geth/v1.15\) cannot take a snapshot: it is no test node"):
            chain.snapshot()
        with pytest.raises(ChainError, match="cannot hand out native currency"):
            chain.endow(1)
        chain.close()
    assert [(block.number, block.timestamp_s) for block in blocks] == [(6, 1_012), (7, 1_014), (8, 1_016)]


def test_patience_with_a_node_ends(monkeypatch):
    monkeypatch.setattr("vpp_sim.chain.rpc._POLL_S", 0.001)
    with Server(SlowNode(10**9).answer) as server:
        chain = RpcChain(server.url, Wallet.of_seed(7, accounts=1), patience_s=0.05)
        with pytest.raises(ChainError, match=r"node 127.0.0.1:\d+ did not bring block 6 in 0.05 s"):
            chain.mine(99)
        chain.close()
