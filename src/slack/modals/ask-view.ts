import type { ModalView } from '@slack/types';
import type { ModalRequest } from '../../bridge/inbound.ts';
import { ASK_DIALOG } from '../render/action-ids.ts';
import { clip } from '../render/blocks.ts';
import { modalText, modalTitle } from './modal-text.ts';
import { textInput } from './text-input.ts';

/** Of the message that is asked about. */
const SHOWN = 300;

/** The dialog of "Ask the agent about this". */
export function askView({ ask, askedTs, about }: ModalRequest & { kind: 'ask' }): ModalView {
  const { channel, ts, threadTs } = ask;
  const shown = about === '' ? 'The agent gets this message.' : `“${clip(about, SHOWN)}”`;
  return {
    type: 'modal',
    callback_id: ASK_DIALOG,
    private_metadata: [channel, ts, threadTs ?? '-', askedTs].join(' '),
    title: modalTitle('Ask the agent'),
    submit: modalTitle('Ask'),
    close: modalTitle('Cancel'),
    blocks: [
      { type: 'context', elements: [modalText(shown, SHOWN + 2)] },
      textInput(0, { label: 'What about it?', placeholder: 'For example: why did this fail?' }),
      {
        type: 'context',
        elements: [modalText('The answer comes in the thread below that message, where others can read it.', SHOWN)],
      },
    ],
  };
}
