import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { BridgeError } from '../../errors.ts';

/** The bytes of a key: AES-256. */
export const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const VERSION = 's1';

/** Encrypts short texts, each bound to what it belongs to. */
export interface Sealer {
  /** @param owner what the text belongs to, such as a workspace: opened for another owner, it is refused */
  seal(text: string, owner: string): string;
  /**
   * @returns the text, and whether it was sealed with the earlier key and should be sealed again
   * @throws BridgeError seal_broken: neither key opens it, it belongs to another owner, or somebody changed it
   */
  open(sealed: string, owner: string): { text: string; isOld: boolean };
}

export interface SealerOptions {
  /** 32 bytes. */
  key: Uint8Array;
  /** The key that was used before; it only opens. */
  oldKey?: Uint8Array | null;
  /** What the texts are for; texts of another purpose are not opened. */
  purpose: string;
}

interface Key {
  id: string;
  secret: Uint8Array;
}

/**
 * AES-256-GCM. A sealed text is `s1.<key id>.<base64url of iv, ciphertext and tag>`; the key id tells which of two keys
 * opens it and nothing about the key. Each purpose has a key of its own, derived by HKDF; owner and purpose are
 * authenticated with the text (AAD), so that a row copied to another workspace does not open.
 */
export function createSealer({ key, oldKey = null, purpose }: SealerOptions): Sealer {
  const current = deriveKey(key, purpose);
  const old = oldKey === null ? null : deriveKey(oldKey, purpose);

  return {
    seal(text, owner) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', current.secret, iv, { authTagLength: TAG_BYTES });
      cipher.setAAD(contextOf(purpose, owner));
      const bytes = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `${VERSION}.${current.id}.${bytes.toString('base64url')}`;
    },
    open(sealed, owner) {
      const [version, id, data, more] = sealed.split('.');
      if (version !== VERSION || id === undefined || data === undefined || more !== undefined) {
        throw broken('it is not a sealed text');
      }
      const used = [current, old].find((each) => each?.id === id);
      if (!used) throw broken('it was sealed with a key that is neither ENCRYPTION_KEY nor ENCRYPTION_KEY_OLD');
      return { text: decrypt(used, Buffer.from(data, 'base64url'), contextOf(purpose, owner)), isOld: used === old };
    },
  };
}

function decrypt({ secret }: Key, bytes: Buffer, context: Buffer): string {
  try {
    const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(context);
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const text = bytes.subarray(IV_BYTES, -TAG_BYTES);
    return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8');
  } catch {
    // Without the cause: what it says depends on bytes that may be a secret.
    throw broken('it was changed, or belongs to something else');
  }
}

function deriveKey(key: Uint8Array, purpose: string): Key {
  if (key.length !== KEY_BYTES) throw new TypeError(`a key has ${KEY_BYTES} bytes`);
  const derive = (use: string, bytes: number) =>
    Buffer.from(hkdfSync('sha256', key, '', `letta-slack-bridge ${purpose} ${use}`, bytes));
  return { id: derive('id', 6).toString('base64url'), secret: derive('seal', KEY_BYTES) };
}

/** As JSON, so that no two pairs give the same bytes. */
function contextOf(purpose: string, owner: string): Buffer {
  return Buffer.from(JSON.stringify([VERSION, purpose, owner]));
}

function broken(why: string): BridgeError {
  return new BridgeError('seal_broken', `cannot open a sealed text: ${why}`);
}
