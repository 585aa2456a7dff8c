import { useEffect, useState } from 'preact/hooks';
import { isObject, type JsonObject, objects } from '../slack/model.ts';
import { slack } from './api.ts';
import { Block } from './blocks.tsx';
import { usePage } from './context.ts';
import { Dialog } from './dialogs.tsx';
import { Field, initialValue, type OnAct } from './elements.tsx';
import { plainOf } from './rich-text.tsx';

const words = (value: unknown) => (typeof value === 'string' ? value : '');

type Values = Record<string, string | string[]>;

function fieldsOf(view: JsonObject): { block: JsonObject; element: JsonObject }[] {
  return objects(view.blocks).flatMap((block) =>
    block.type === 'input' && isObject(block.element) ? [{ block, element: block.element }] : [],
  );
}

interface InputProps {
  block: JsonObject;
  value: string | string[];
  error: string | undefined;
  onValue(value: string | string[]): void;
}

function Input({ block, value, error, onValue }: InputProps) {
  if (!isObject(block.element)) return null;
  const label = plainOf(block.label);
  const id = `about-${words(block.block_id)}`;
  return (
    <div class={`input ${error ? 'wrong' : ''}`}>
      <span class="label">
        {label}
        {block.optional === true && <small> (optional)</small>}
      </span>
      <Field element={block.element} value={value} label={label} describedBy={id} onValue={onValue} />
      <div id={id}>
        {error && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        {block.hint !== undefined && <p class="hint">{plainOf(block.hint)}</p>}
      </div>
    </div>
  );
}

interface Submitted {
  acked: boolean;
  errors?: Record<string, string>;
}

/** The top modal of the person's stack. */
export function Modal({ view }: { view: JsonObject }) {
  const { state, attempt } = usePage();
  const [values, setValues] = useState<Values>({});
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState(false);
  const { user } = state;
  const fields = fieldsOf(view);

  // A new view starts empty; an update of this view keeps what was typed into inputs that it still has.
  const id = words(view.id);
  useEffect(() => {
    setValues({});
    setErrors({});
  }, [id]);
  const currentValue = (block: JsonObject, element: JsonObject) =>
    values[words(block.block_id)] ?? initialValue(element);

  const submit = async () => {
    setBusy(true);
    const filled = fields.map(({ block, element }) => [words(block.block_id), currentValue(block, element)] as const);
    const given = filled.filter(([, value]) => value !== '' && value.length > 0);
    await attempt(async () => {
      const answer = await slack<Submitted>('view-submit', { user, values: Object.fromEntries(given) });
      setErrors(answer.errors ?? {});
      if (!answer.acked && !answer.errors) throw new Error('We had some trouble connecting. Try again?');
    });
    setBusy(false);
  };
  const close = () => void attempt(() => slack('view-close', { user }));
  const onAct: OnAct = async (element, choice) => {
    const action = words(element.action_id);
    await attempt(() => slack('interact', { user, view: 'modal', action, ...choice }));
  };

  const title = plainOf(view.title);
  return (
    <Dialog label={title} onClose={close}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <header>
          <h2>{title}</h2>
          <button type="button" class="icon" aria-label="Close" onClick={close}>
            ✕
          </button>
        </header>
        <div class="dialog-body">
          {objects(view.blocks).map((block) =>
            block.type === 'input' && isObject(block.element) ? (
              <Input
                key={words(block.block_id)}
                block={block}
                value={currentValue(block, block.element)}
                error={errors[words(block.block_id)]}
                onValue={(value) => {
                  setValues((all) => ({ ...all, [words(block.block_id)]: value }));
                  if (block.dispatch_action === true && isObject(block.element) && typeof value === 'string') {
                    void onAct(block.element, { option: value, value });
                  }
                }}
              />
            ) : (
              <Block key={words(block.block_id)} block={block} onAct={onAct} />
            ),
          )}
        </div>
        <footer>
          <button type="button" class="button" onClick={close}>
            {plainOf(view.close) || 'Close'}
          </button>
          {isObject(view.submit) && (
            <button type="submit" class="button primary" disabled={busy} aria-busy={busy}>
              {plainOf(view.submit)}
            </button>
          )}
        </footer>
      </form>
    </Dialog>
  );
}
