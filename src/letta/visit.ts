import type { Clock, Log, Random } from '../bridge/ports.ts';
import type { BridgeError } from '../errors.ts';
import type { LaneDialer, LaneEndpoint, LaneLoss } from './link/lane.ts';
import { openLink } from './link/link.ts';
import { type Frame, type ResponseFrame, responseSchemas } from './protocol/incoming.ts';
import { type Ask, createRequests } from './requests.ts';

export interface VisitParts {
  endpoints: readonly LaneEndpoint[];
  dial: LaneDialer;
  clock: Clock;
  random: Random;
  log: Log;
  /** The error to report when the link cannot be opened. */
  unreachable(loss: LaneLoss): BridgeError;
}

/** Opens a link for a few requests that concern no runtime, and closes it again. */
export async function visit<Result>(parts: VisitParts, run: (ask: Ask) => Promise<Result>): Promise<Result> {
  const { endpoints, dial, clock, random, log, unreachable } = parts;
  const opened = Promise.withResolvers<void>();
  const requests = createRequests(clock, random.id(), (frame) => link.send(frame));
  const link = openLink(
    { endpoints, dial, clock, log },
    {
      onOpen: () => opened.resolve(),
      onFrame(frame) {
        if (isResponse(frame)) requests.handleResponse(frame.request_id, frame);
      },
      onClose(loss) {
        opened.reject(unreachable(loss));
        requests.failAll();
      },
    },
  );
  try {
    await opened.promise;
    return await run(requests.ask);
  } finally {
    link.close();
  }
}

function isResponse(frame: Frame): frame is ResponseFrame {
  return frame.type in responseSchemas;
}
