/** The types that cbor-x has for this entry name a folder, which Node's rules do not resolve. */
declare module "cbor-x/decode-no-eval" {
  export class Decoder {
    constructor(options: { readonly useRecords: false });
    decode(bytes: Uint8Array): unknown;
  }
}
