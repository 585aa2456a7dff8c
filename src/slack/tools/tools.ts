import type { Clock, Log, People, Random, ThreadReader } from '../../bridge/ports.ts';
import type { ToolHandlers } from '../../bridge/tools/tool.ts';
import type { SlackApi } from '../api/slack-api.ts';
import type { Uploader } from '../api/uploader.ts';
import type { NameOf } from '../render/slack-markup.ts';
import { createToolApi } from './calls.ts';
import { createToolChannels } from './channels.ts';
import { createFindPeople } from './find-people.ts';
import { createPostMessage } from './post-message.ts';
import { createReact } from './react.ts';
import { createReadChannel } from './read-channel.ts';
import { createReadFile, type GiveFile } from './read-file.ts';
import { createReadThread } from './read-thread.ts';
import { createUploadFile } from './upload-file.ts';

export interface SlackToolsOptions {
  api: SlackApi;
  reader: ThreadReader;
  people: People;
  nameOf: NameOf;
  /** `null`: files cannot be uploaded. */
  upload: Uploader | null;
  /** `null`: files of Slack are not fetched. */
  give: GiveFile | null;
  botUser: string;
  enterpriseId: string | null;
  /** `https://team.slack.com/`; `null`: not known. */
  workspace: string | null;
  clock: Clock;
  random: Random;
  log: Log;
}

/** What each `slack_*` tool does, except schedules. */
export function createSlackTools(options: SlackToolsOptions): ToolHandlers {
  const { clock, give, upload } = options;
  const api = createToolApi(options.api, clock);
  const channels = createToolChannels({ api, clock });
  const parts = { ...options, api, channels };
  return {
    ...(upload && { slack_upload_file: createUploadFile(parts) }),
    slack_react: createReact(parts),
    slack_read_thread: createReadThread(parts),
    ...(give && { slack_read_file: createReadFile({ ...parts, give }) }),
    slack_find_people: createFindPeople(parts),
    slack_post_message: createPostMessage(parts),
    slack_read_channel: createReadChannel(parts),
  };
}
