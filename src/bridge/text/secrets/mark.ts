/** Replaces a hidden secret. */
export const REDACTED = '«redacted»';
