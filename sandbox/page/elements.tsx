import { useState } from 'preact/hooks';
import { isObject, type JsonObject, objects } from '../slack/model.ts';
import { usePage } from './context.ts';
import { ConfirmDialog } from './dialogs.tsx';
import { plainOf, Text } from './rich-text.tsx';

const words = (value: unknown) => (typeof value === 'string' ? value : '');

export interface Choice {
  option?: string | string[];
  value?: string;
}

/** Acts on an element; resolves once the app has acked it or failed to. */
export type OnAct = (element: JsonObject, choice: Choice) => Promise<void>;

function optionsOf(element: JsonObject): JsonObject[] {
  return [...objects(element.options), ...objects(element.option_groups).flatMap((group) => objects(group.options))];
}

function Options({ element }: { element: JsonObject }) {
  const option = (each: JsonObject) => (
    <option key={words(each.value)} value={words(each.value)}>
      {plainOf(each.text)}
    </option>
  );
  return (
    <>
      {objects(element.options).map(option)}
      {objects(element.option_groups).map((group) => (
        <optgroup key={plainOf(group.label)} label={plainOf(group.label)}>
          {objects(group.options).map(option)}
        </optgroup>
      ))}
    </>
  );
}

/** People or conversations instead of options of its own. */
function Picks({ type }: { type: string }) {
  const { state } = usePage();
  if (type.includes('users')) {
    return (
      <>
        {state.hello?.people.map(({ id, real_name }) => (
          <option key={id} value={id}>
            {real_name}
          </option>
        ))}
      </>
    );
  }
  return (
    <>
      {state.state?.channels.map(({ id, name }) => (
        <option key={id} value={id}>
          {name === '' ? 'Direct message' : `#${name}`}
        </option>
      ))}
    </>
  );
}

type InputType = 'date' | 'time' | 'datetime-local' | 'email' | 'url' | 'number';

const INPUT_TYPES: Readonly<Record<string, InputType>> = {
  datepicker: 'date',
  timepicker: 'time',
  datetimepicker: 'datetime-local',
  email_text_input: 'email',
  url_text_input: 'url',
  number_input: 'number',
};

export interface FieldProps {
  element: JsonObject;
  value: string | string[];
  label: string;
  describedBy?: string | undefined;
  onValue(value: string | string[]): void;
}

/** Something to type or choose in. */
export function Field({ element, value, label, describedBy, onValue }: FieldProps) {
  const type = words(element.type);
  const one = typeof value === 'string' ? value : '';
  const many = Array.isArray(value) ? value : [];
  const placeholder = plainOf(element.placeholder);
  const common = { 'aria-label': label, 'aria-describedby': describedBy };
  if (type === 'checkboxes' || type === 'radio_buttons') {
    const multiple = type === 'checkboxes';
    return (
      <fieldset {...common}>
        {optionsOf(element).map((option) => {
          const id = words(option.value);
          const on = multiple ? many.includes(id) : one === id;
          const toggled = on ? many.filter((other) => other !== id) : [...many, id];
          return (
            <label key={id} class="check">
              <input
                type={multiple ? 'checkbox' : 'radio'}
                name={words(element.action_id)}
                checked={on}
                onChange={() => onValue(multiple ? toggled : id)}
              />
              <span>
                <Text text={option.text} />
                {option.description !== undefined && (
                  <small>
                    <Text text={option.description} />
                  </small>
                )}
              </span>
            </label>
          );
        })}
      </fieldset>
    );
  }
  if (type.endsWith('select')) {
    const multiple = type.startsWith('multi_');
    return (
      <select
        {...common}
        multiple={multiple}
        value={multiple ? undefined : one}
        onChange={({ currentTarget }) =>
          onValue(multiple ? [...currentTarget.selectedOptions].map((option) => option.value) : currentTarget.value)
        }
      >
        {!multiple && <option value="">{placeholder || 'Choose…'}</option>}
        {type.includes('static') ? <Options element={element} /> : <Picks type={type} />}
      </select>
    );
  }
  if (type === 'plain_text_input' && element.multiline === true) {
    return (
      <textarea
        {...common}
        rows={4}
        value={one}
        placeholder={placeholder}
        onInput={({ currentTarget }) => onValue(currentTarget.value)}
      />
    );
  }
  return (
    <input
      {...common}
      // The types tell what goes with each kind of input; all that is given here goes with every one.
      {...({ type: INPUT_TYPES[type] ?? 'text' } as { type: 'text' })}
      value={one}
      placeholder={placeholder}
      onInput={({ currentTarget }) => onValue(currentTarget.value)}
    />
  );
}

/** What an element starts with, in the form that {@link Field} has. */
export function initialValue(element: JsonObject): string | string[] {
  const optionValue = (option: unknown) => (isObject(option) ? words(option.value) : '');
  const type = words(element.type);
  if (type === 'checkboxes' || type.startsWith('multi_')) return objects(element.initial_options).map(optionValue);
  if (element.initial_option !== undefined) return optionValue(element.initial_option);
  return words(element.initial_value) || words(element.initial_user) || words(element.initial_date);
}

/** Opens a menu to the side where there is room, and scrolls until all of it is seen. */
function keepInView(menu: HTMLDetailsElement) {
  const list = menu.querySelector('ul');
  if (!menu.open || !list) return;
  const room = menu.closest('[role="log"], [role="region"], .channel')?.getBoundingClientRect().right ?? innerWidth;
  list.classList.toggle('to-the-left', list.getBoundingClientRect().right > Math.min(room, innerWidth));
  list.scrollIntoView({ block: 'nearest' });
}

function Overflow({ element, act }: { element: JsonObject; act(choice: Choice): void }) {
  return (
    <details class="menu" onToggle={({ currentTarget }) => keepInView(currentTarget)}>
      <summary aria-label="More actions">⋯</summary>
      <ul>
        {optionsOf(element).map((option) => (
          <li key={words(option.value)}>
            <button
              type="button"
              onClick={({ currentTarget }) => {
                currentTarget.closest('details')?.removeAttribute('open');
                act({ option: words(option.value) });
              }}
            >
              {plainOf(option.text)}
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}

/** An interactive element that acts at once: of a message, of the Home tab, or of a modal outside of its inputs. */
export function Element({ element, onAct }: { element: JsonObject; onAct: OnAct }) {
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState<Choice | null>(null);
  const [value, setValue] = useState(() => initialValue(element));
  const run = (choice: Choice) => {
    setAsking(null);
    setBusy(true);
    void onAct(element, choice).finally(() => setBusy(false));
  };
  const act = (choice: Choice) => (isObject(element.confirm) ? setAsking(choice) : run(choice));
  const type = words(element.type);
  const label = words(element.accessibility_label) || plainOf(element.text) || plainOf(element.placeholder) || type;
  return (
    <>
      {type === 'button' || type === 'workflow_button' ? (
        <button
          type="button"
          class={`button ${words(element.style)}`}
          aria-label={label}
          aria-busy={busy}
          disabled={busy}
          onClick={() => act({ value: words(element.value) })}
        >
          {plainOf(element.text)}
        </button>
      ) : type === 'overflow' ? (
        <Overflow element={element} act={act} />
      ) : type === 'image' ? (
        <Picture image={element} small />
      ) : (
        <Field
          element={element}
          label={label}
          value={value}
          onValue={(next) => {
            setValue(next);
            act(Array.isArray(next) ? { option: next } : { option: next, value: next });
          }}
        />
      )}
      {asking && isObject(element.confirm) && (
        <ConfirmDialog confirm={element.confirm} onYes={() => run(asking)} onNo={() => setAsking(null)} />
      )}
    </>
  );
}

/** Does not fetch pictures from elsewhere, because no request may leave the machine. */
export function Picture({ image, small = false }: { image: JsonObject; small?: boolean }) {
  const alt = words(image.alt_text) || plainOf(image.title) || 'image';
  return small ? <span class="picture-small">{alt}</span> : <figure class="picture">Picture: {alt}</figure>;
}
