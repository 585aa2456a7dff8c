import { Refusal } from '../refusal.ts';
import { validateMessageBlocks } from '../validate/message.ts';
import type { Methods } from './method.ts';

export const blocks: Methods = {
  'blocks.validate': {
    scopes: [],
    tier: 'T3',
    token: 'none',
    run({ args }) {
      const list = args.array('blocks', 'invalid_blocks_format');
      if (!list) throw new Refusal('invalid_arguments');
      validateMessageBlocks(list);
      return {};
    },
  },
};
