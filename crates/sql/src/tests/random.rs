//! Random conditions. The index, the records alone, and an evaluation that knows neither give the same rows.
