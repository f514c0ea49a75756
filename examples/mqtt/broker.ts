/** What the broker sees: ours, in this process, or any other through the eyes of a subscriber who has no key. */
import { createServer, type Socket } from "node:net";
import { Aedes } from "aedes";
import { closeChannel, openChannel } from "./connection.js";

export type OnSeen = (mqttTopic: string, payload: Uint8Array) => void;

export interface Observed {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts an MQTT broker on a free port of this machine, which shows all that it is given. */
export async function startBroker(seen: OnSeen): Promise<Observed> {
  const broker = await Aedes.createBroker({
    authorizePublish: (_client, packet, accept) => {
      seen(packet.topic, Buffer.from(packet.payload));
      accept();
    },
  });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    broker.handle(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `mqtt://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close();
        broker.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Listens on somebody else's broker, as everybody there can. */
export async function eavesdrop(url: string, base: string, seen: OnSeen): Promise<Observed> {
  const client = await openChannel(url, [`${base}/#`], seen);
  return { url, close: () => closeChannel(client) };
}
