/** A real MQTT broker that does to messages whatever a test tells it. */
import { createServer, type Server, type Socket } from "node:net";
import { Aedes } from "aedes";

export interface MqttMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

/** Where what clients publish is diverted to, so that the broker itself gives it to nobody. */
const CAPTURED = "captured";

export class MaliciousBroker {
  /** All that clients published, in order. */
  readonly captured: MqttMessage[] = [];
  /** Gives what to deliver instead of a message. Set it; at first the broker is honest. */
  meddle: (message: MqttMessage) => readonly MqttMessage[] = (message) => [message];
  readonly url: string;
  readonly #aedes: Aedes;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(aedes: Aedes, server: Server, sockets: Set<Socket>) {
    this.#aedes = aedes;
    this.#server = server;
    this.#sockets = sockets;
    const address = server.address();
    this.url = `mqtt://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
    aedes.authorizePublish = (_client, packet, accept) => {
      const message = {
        topic: packet.topic,
        payload: Uint8Array.from(Buffer.from(packet.payload)),
        retain: packet.retain,
      };
      this.captured.push(message);
      packet.topic = CAPTURED;
      packet.retain = false;
      this.deliver(...this.meddle(message)).then(() => accept(), accept);
    };
  }

  static async start(): Promise<MaliciousBroker> {
    const aedes = await Aedes.createBroker();
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      aedes.handle(socket);
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return new MaliciousBroker(aedes, server, sockets);
  }

  /** Gives messages to all who subscribed, whoever made them. */
  async deliver(...messages: readonly MqttMessage[]): Promise<void> {
    for (const { topic, payload, retain } of messages) {
      const packet = { cmd: "publish", qos: 1, dup: false, topic, payload: Buffer.from(payload), retain } as const;
      await new Promise<void>((resolve, reject) => {
        this.#aedes.publish(packet, (error) => (error ? reject(error) : resolve()));
      });
    }
  }

  /** Breaks all connections; whoever wants may connect again. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    const closed = new Promise<void>((resolve) => this.#aedes.close(resolve));
    this.dropConnections();
    await closed;
  }
}
