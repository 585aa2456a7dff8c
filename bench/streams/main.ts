import { answerParent } from '../child.ts';
import type { Plan } from './plan.ts';
import { play } from './play.ts';

await answerParent((plan: Plan) => play(plan));
