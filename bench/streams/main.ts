import { answerParent } from '../child.ts';
import type { Plan } from './plan.ts';
import { playPlan } from './play.ts';

await answerParent((plan: Plan) => playPlan(plan));
