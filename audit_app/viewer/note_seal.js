// Notes that wait in the browser's lasting storage, so that only their reader's own page can read them:
// the server gives that page the key.

import { base64Bytes } from './dom.js';

const NONCE_BYTES = 12;

// null where the browser has no encryption (plain http to another computer).
export function buildSeal(hexKey) {
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle || !hexKey) return null;
  const raw = Uint8Array.from(hexKey.match(/../g), (pair) => parseInt(pair, 16));
  const key = subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
  return {
    async close(text) {
      const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const sealed = await subtle.encrypt({ name: 'AES-GCM', iv }, await key, new TextEncoder().encode(text));
      return btoa(String.fromCharCode(...iv, ...new Uint8Array(sealed)));
    },
    async open(sealed) {
      const bytes = base64Bytes(sealed);
      const [iv, content] = [bytes.slice(0, NONCE_BYTES), bytes.slice(NONCE_BYTES)];
      return new TextDecoder().decode(await subtle.decrypt({ name: 'AES-GCM', iv }, await key, content));
    },
  };
}
