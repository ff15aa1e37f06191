-- Free the slots of attempts that have ended, in the transaction that ended them.
-- Parameters: arrays of one length: run_ids, tokens.
-- Returns: environment_id, queue, keys (an array; empty text is the queue itself).
-- Locks: the slots. Index: primary keys of jobs_run and jobs_slot.
WITH ended AS MATERIALIZED (
    SELECT run.id, run.environment_id, run.queue, run.concurrency_key, run.further_keys
    FROM unnest(%(run_ids)s::uuid[], %(tokens)s::integer[]) AS ended (run_id, token)
    JOIN jobs_run AS run ON run.id = ended.run_id
    WHERE run.fencing_token = ended.token AND run.status <> $EXECUTING AND NOT run.is_claimable
), freed AS (
    DELETE FROM jobs_slot AS slot USING ended
    WHERE slot.environment_id = ended.environment_id AND slot.queue = ended.queue
      AND slot.run_id = ended.id
      AND slot.key = ANY(ARRAY['', ended.concurrency_key] || ended.further_keys)
    RETURNING slot.environment_id, slot.queue, slot.key
)
SELECT environment_id, queue, array_agg(DISTINCT key) FROM freed GROUP BY environment_id, queue
