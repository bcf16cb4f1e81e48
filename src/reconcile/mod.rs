//! The pure core: normalise, diff, order, plan, guard, risk. No clock, no network, no async.
