"""A device that speaks the wire of stringphone 0.1, written from docs/COMPAT.md section 2, on PyNaCl.

Reads one JSON object a line from standard input and answers each with one line. Bytes are hex. `as` names the device:

    {"as": "hub", "do": "create", "seed": hex, "topicKey": hex or null}   -> {"publicKey": hex, "id": hex}
    {"as": "hub", "do": "trust", "publicKey": hex}                        -> {}
    {"as": "hub", "do": "encode", "payload": hex}                         -> {"wire": hex}
    {"as": "hub", "do": "decode", "wire": hex}                            -> {"payload": hex, "sender": hex}
    {"as": "hub", "do": "introduce"}                                      -> {"wire": hex}
    {"as": "hub", "do": "answer", "wire": hex}                            -> {"wire": hex}
    {"as": "hub", "do": "adopt", "wire": hex}                             -> {"topicKey": hex, "sponsor": hex}

What goes wrong is answered with {"error": name}.
"""

import hashlib
import json
import sys

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.utils import random


class Refused(Exception):
    """The wire is not what it has to be; the text is the name of the reason."""


def id_of(public_key):
    return hashlib.sha256(public_key).digest()[:16]


def verified(public_key, signature, text):
    try:
        return bindings.crypto_sign_open(signature + text, public_key)
    except CryptoError as error:
        raise Refused("BadSignature") from error


def split(wire, *lengths):
    """The type byte, then parts of these lengths; the rest is the last."""
    parts, at = [], 1
    for length in lengths:
        parts.append(wire[at : at + length])
        at += length
    return (*parts, wire[at:])


class Device:
    def __init__(self, seed, topic_key):
        self.public_key, self.secret_key = bindings.crypto_sign_seed_keypair(seed)
        # As in 0.1, one X25519 key for the life of the program.
        self.box_secret = random(32)
        self.box_public = bindings.crypto_scalarmult_base(self.box_secret)
        self.topic_key = topic_key
        self.trusted = {}

    def sign(self, text):
        return bindings.crypto_sign(text, self.secret_key)[:64]

    def encode(self, payload):
        nonce = random(24)
        signed = id_of(self.public_key) + nonce + bindings.crypto_secretbox(payload, nonce, self.topic_key)
        return b"s" + self.sign(signed) + signed

    def decode(self, wire):
        if wire[:1] != b"s":
            raise Refused("Type")
        signature, signed = split(wire, 64)
        sender, nonce, box = signed[:16], signed[16:40], signed[40:]
        if sender not in self.trusted:
            raise Refused("UntrustedKey")
        verified(self.trusted[sender], signature, signed)
        try:
            return bindings.crypto_secretbox_open(box, nonce, self.topic_key), sender
        except CryptoError as error:
            raise Refused("Decryption") from error

    def introduce(self):
        return b"i" + self.public_key + self.sign(self.box_public) + self.box_public

    def answer(self, wire):
        if wire[:1] != b"i" or len(wire) != 129:
            raise Refused("Type")
        newcomer, signature, box_public = split(wire, 32, 64)
        verified(newcomer, signature, box_public)
        nonce = random(24)
        box = bindings.crypto_box(self.topic_key, nonce, box_public, self.box_secret)
        return b"r" + id_of(newcomer) + nonce + box + self.box_public + self.public_key

    def adopt(self, wire):
        if wire[:1] != b"r" or len(wire) != 153:
            raise Refused("Type")
        recipient, nonce, box, box_public, sponsor = split(wire, 16, 24, 48, 32)
        if recipient != id_of(self.public_key):
            raise Refused("Recipient")
        try:
            self.topic_key = bindings.crypto_box_open(box, nonce, box_public, self.box_secret)
        except CryptoError as error:
            raise Refused("Decryption") from error
        return self.topic_key, sponsor


def unhex(request, name):
    return bytes.fromhex(request[name])


def perform(devices, request):
    name, verb = request["as"], request["do"]
    if verb == "create":
        topic_key = None if request["topicKey"] is None else unhex(request, "topicKey")
        device = devices[name] = Device(unhex(request, "seed"), topic_key)
        return {"publicKey": device.public_key, "id": id_of(device.public_key)}
    device = devices[name]
    if verb == "trust":
        public_key = unhex(request, "publicKey")
        device.trusted[id_of(public_key)] = public_key
        return {}
    if verb == "encode":
        return {"wire": device.encode(unhex(request, "payload"))}
    if verb == "decode":
        payload, sender = device.decode(unhex(request, "wire"))
        return {"payload": payload, "sender": sender}
    if verb == "introduce":
        return {"wire": device.introduce()}
    if verb == "answer":
        return {"wire": device.answer(unhex(request, "wire"))}
    if verb == "adopt":
        topic_key, sponsor = device.adopt(unhex(request, "wire"))
        return {"topicKey": topic_key, "sponsor": sponsor}
    raise ValueError("no such verb: " + verb)


def main():
    devices = {}
    for line in sys.stdin:
        try:
            answer = {name: value.hex() for name, value in perform(devices, json.loads(line)).items()}
        except Refused as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
