import fc from 'fast-check';

/*
 * A setup file. Properties draw the same values each time, so that a change is blamed for what it broke and for nothing
 * else. PROPERTY_SEED=random draws others (a failure names its seed), a number repeats that seed.
 */

const { PROPERTY_SEED: given = '20261129' } = process.env;

if (given !== 'random') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(given) });
