import type { Clock, Log, People, Random, ThreadReader } from '../../bridge/ports.ts';
import type { Uploader } from '../api/uploader.ts';
import type { NameOf } from '../render/slack-markup.ts';
import type { ToolApi } from './calls.ts';
import type { ToolChannels } from './channels.ts';

/** What the tools are made of. */
export interface ToolParts {
  api: ToolApi;
  channels: ToolChannels;
  reader: ThreadReader;
  people: People;
  /** The name of a person who was asked for lately. */
  nameOf: NameOf;
  /** `null`: files cannot be uploaded. */
  upload: Uploader | null;
  botUser: string;
  /** `https://team.slack.com/`; `null`: not known. */
  workspace: string | null;
  clock: Clock;
  random: Random;
  log: Log;
}
