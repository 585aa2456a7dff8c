import type { ModalView } from '@slack/types';
import type { ModalRequest } from '../../bridge/inbound.ts';
import { ASK_DIALOG } from '../render/action-ids.ts';
import { clip } from '../render/blocks.ts';
import { ASK } from '../words/dialogs.ts';
import { modalText, modalTitle } from './modal-text.ts';
import { textInput } from './text-input.ts';

/** Of the message that is asked about. */
const SHOWN = 300;

/** The dialog of "Ask the agent about this". */
export function askView({ ask, askedTs, about }: ModalRequest & { kind: 'ask' }): ModalView {
  const { channel, ts, threadTs } = ask;
  const shown = about === '' ? ASK.withoutText : `“${clip(about, SHOWN)}”`;
  return {
    type: 'modal',
    callback_id: ASK_DIALOG,
    private_metadata: [channel, ts, threadTs ?? '-', askedTs].join(' '),
    title: modalTitle(ASK.title),
    submit: modalTitle('Ask'),
    close: modalTitle('Cancel'),
    blocks: [
      { type: 'context', elements: [modalText(shown, SHOWN + 2)] },
      textInput(0, { label: ASK.label, placeholder: ASK.placeholder }),
      {
        type: 'context',
        elements: [modalText(ASK.where, SHOWN)],
      },
    ],
  };
}
