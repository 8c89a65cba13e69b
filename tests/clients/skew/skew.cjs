// Loaded before the client: the clock of the day is SKEW_S seconds wrong.
const now = Date.now;
Date.now = () => now() + Number(process.env.SKEW_S) * 1000;
