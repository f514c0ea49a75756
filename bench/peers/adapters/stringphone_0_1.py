"""
The first stringphone, 0.1, as a peer: written anew from what its messages are and what it does for each.

    "s" | Ed25519 signature (64) | sender id (16) | nonce (24) | XSalsa20-Poly1305 box, tag first

The signature covers all behind it; an id is the first 16 bytes of SHA-256 of the public key. The layers and the work are
those of 0.1, step by step: a property computes the type of a frame each time it is asked, a frame is copied into its own
class, the verification key is made anew for each message, and libsodium's combined signatures hand out copies. Neither
version checks that a message is new.
"""
import hashlib
import json
import sys
import time

import nacl
import nacl.exceptions
import nacl.secret
import nacl.signing
import nacl.utils

SIMPLE, INTRODUCTION, REPLY, UNKNOWN = b"s", b"i", b"r", b"u"
SIGNATURE_END = 1 + 64
SENDER_END = SIGNATURE_END + 16


def id_of(public_key):
    return hashlib.sha256(public_key).digest()[:16]


class Frame(bytes):
    """What came over the channel; each part is cut out when it is asked for."""

    @property
    def kind(self):
        for kind in (SIMPLE, INTRODUCTION, REPLY):
            if self.startswith(kind):
                return kind
        return UNKNOWN

    def _expect_simple(self):
        if self.kind != SIMPLE:
            raise ValueError("not a simple message")

    @property
    def sender(self):
        self._expect_simple()
        return self[SIGNATURE_END:SENDER_END]

    @property
    def signed(self):
        self._expect_simple()
        return self[1:]

    @property
    def box(self):
        self._expect_simple()
        return self[SENDER_END:]


class SecretKey:
    """The topic key, ready to encrypt; the box is made once for each key."""

    def __init__(self, key):
        self._box = nacl.secret.SecretBox(key)

    def encrypt(self, payload):
        nonce = nacl.utils.random(nacl.secret.SecretBox.NONCE_SIZE)
        return bytes(self._box.encrypt(payload, nonce))

    def decrypt(self, box):
        return self._box.decrypt(box)


class Signer:
    def __init__(self, seed):
        self._key = nacl.signing.SigningKey(seed)
        self.public_key = self._key.verify_key.encode()

    def sign(self, text):
        return bytes(self._key.sign(text))


class Verifier:
    def __init__(self, public_key):
        self._key = nacl.signing.VerifyKey(public_key)

    def verify(self, signed):
        try:
            return self._key.verify(signed)
        except nacl.exceptions.BadSignatureError as error:
            raise ValueError(str(error)) from error


class Topic:
    def __init__(self, seed, topic_key):
        self._topic_key = topic_key
        self._secret = SecretKey(topic_key)
        self._signer = Signer(seed)
        self._id = id_of(self._signer.public_key)
        self._participants = {}

    @property
    def id(self):
        return self._id

    @property
    def topic_key(self):
        return self._topic_key

    @property
    def public_key(self):
        return self._signer.public_key

    def add_participant(self, public_key):
        self._participants[id_of(public_key)] = public_key

    def encode(self, payload):
        if not self.topic_key:
            raise ValueError("no topic key")
        return SIMPLE + self._signer.sign(self.id + self._secret.encrypt(payload))

    def decode(self, wire):
        frame = Frame(wire)
        if frame.sender == self.id:
            return None
        if frame.kind == INTRODUCTION and self.topic_key:
            raise ValueError("an introduction")
        if frame.kind == REPLY and not self.topic_key:
            raise ValueError("a reply")
        if frame.kind != SIMPLE:
            return None
        if frame.sender not in self._participants:
            raise ValueError("the sender is not trusted")
        Verifier(self._participants[frame.sender]).verify(frame.signed)
        return self._secret.decrypt(frame.box)


class Peer:
    """The requests of protocol.ts; one payload and one list of wires are kept."""

    def __init__(self):
        topic_key = nacl.utils.random(nacl.secret.SecretBox.KEY_SIZE)
        self.alice = Topic(nacl.utils.random(32), topic_key)
        self.bob = Topic(nacl.utils.random(32), topic_key)
        self.bob.add_participant(self.alice.public_key)
        self.payload = b""
        self.wires = []

    def size(self, request):
        self.payload = nacl.utils.random(request["bytes"])
        return {}

    def seal(self, request):
        self.wires = []
        calls, encode, payload = request["calls"], self.alice.encode, self.payload
        start = time.perf_counter_ns()
        wires = [encode(payload) for _ in range(calls)]
        micros = (time.perf_counter_ns() - start) / 1000
        self.wires = wires
        return {"micros": micros, "wireBytes": sum(map(len, wires)) / calls}

    def open(self, _request):
        decode, wires = self.bob.decode, self.wires
        message = None
        start = time.perf_counter_ns()
        for wire in wires:
            message = decode(wire)
        micros = (time.perf_counter_ns() - start) / 1000
        if message != self.payload:
            raise ValueError("what was opened is not the payload")
        return {"micros": micros}


def main():
    peer = Peer()
    answers = {"size": peer.size, "seal": peer.seal, "open": peer.open}
    versions = {"Python": sys.version.split()[0], "PyNaCl": nacl.__version__}
    print(json.dumps({"batch": 1, "versions": versions}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = answers[request["op"]](request)
        except Exception as error:  # whatever it is, the runner must hear of it
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
