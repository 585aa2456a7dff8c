/** Examples of what people can ask the agent, where the policy file names none: a few words, and what is sent. */
export const USUAL_PROMPTS: readonly { title: string; message: string }[] = [
  { title: 'What can you do?', message: 'What can you do here, and what will you ask me before you do it?' },
  {
    title: 'Explain this repository',
    message: 'Explain this repository in ten lines: what it does, where things are, how to run it.',
  },
  { title: 'What changed this week?', message: 'Summarise what changed in this repository in the last seven days.' },
  { title: 'Run the tests', message: 'Run the tests. Tell me what fails, and why.' },
];
