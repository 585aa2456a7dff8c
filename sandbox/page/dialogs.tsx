import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { JsonObject } from '../slack/model.ts';
import { plainOf, Text } from './rich-text.tsx';

/** A dialog that keeps the focus while it is open; Escape closes it. */
export function Dialog({ label, onClose, children }: { label: string; onClose(): void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      {children}
    </dialog>
  );
}

export function ConfirmDialog({ confirm, onYes, onNo }: { confirm: JsonObject; onYes(): void; onNo(): void }) {
  return (
    <Dialog label={plainOf(confirm.title)} onClose={onNo}>
      <header>
        <h2>{plainOf(confirm.title)}</h2>
      </header>
      <div class="dialog-body">
        <Text text={confirm.text} />
      </div>
      <footer>
        <button type="button" class="button" onClick={onNo}>
          {plainOf(confirm.deny)}
        </button>
        <button type="button" class={`button ${confirm.style === 'danger' ? 'danger' : 'primary'}`} onClick={onYes}>
          {plainOf(confirm.confirm)}
        </button>
      </footer>
    </Dialog>
  );
}
