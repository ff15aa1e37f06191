-- Admission: free slots of a queue go to runs that wait for them. The functions are made by a migration;
-- each statement inside of them has a snapshot of its own, which is what they are for: the queue's row is
-- locked first, and what counts slots is younger than the lock.
-- Locks: `jobs_admit` says which; the others are its parts.
-- Index: jobs_run_waiting, jobs_run_waiting_further, primary keys of jobs_slot, jobs_start and
--   jobs_attempt.

-- How much more may start now under the queue's rate limit (of one key, where each has its own), and
-- when the next start that counts grows too old. A start counts from the admission on, until it happened
-- longer than the window ago; one that never happened (cancelled, expired) is forgotten.
CREATE OR REPLACE FUNCTION jobs_rate_room(known jobs_queue, a_key text, OUT room bigint, OUT next_at timestamptz)
LANGUAGE plpgsql AS $function$
BEGIN
    DELETE FROM jobs_start AS start USING jobs_event AS event
    WHERE start.environment_id = known.environment_id AND start.queue = known.name
      AND start.key = a_key AND event.run_id = start.run_id AND event.version = start.version + 1
      AND (event.move <> 'claim'
           OR event.created_at <= now() - make_interval(secs => known.rate_window_seconds));
    SELECT known.rate_limit - coalesce(sum(start.weight), 0),
           min(event.created_at) + make_interval(secs => known.rate_window_seconds)
    INTO room, next_at
    FROM jobs_start AS start
    LEFT JOIN jobs_event AS event
      ON event.run_id = start.run_id AND event.version = start.version + 1
    WHERE start.environment_id = known.environment_id AND start.queue = known.name
      AND start.key = a_key;
END
$function$;

-- The next waiting run of a key becomes claimable, if the key has room; of a run with further keys all
-- must have, which is looked for among the oldest hundred. No row: none.
CREATE OR REPLACE FUNCTION jobs_admit_next(known jobs_queue, a_key text, rate_room bigint)
RETURNS TABLE (in_worker_queue text, weight smallint) LANGUAGE plpgsql AS $function$
DECLARE
    key_limit integer := coalesce(known.key_concurrency_limit, 1);
    busy text[];
    chosen record;
BEGIN
    SELECT run.id, run.worker_queue, run.rate_weight, run.version, run.further_keys INTO chosen
    FROM jobs_run AS run
    WHERE run.environment_id = known.environment_id AND run.queue = known.name AND run.is_waiting
      AND run.concurrency_key = a_key AND run.run_at <= now()
      AND (run.expires_at IS NULL OR run.expires_at > now())
      AND (a_key = '' OR key_limit > (
          SELECT count(*) FROM jobs_slot AS slot
          WHERE slot.environment_id = known.environment_id AND slot.queue = known.name
            AND slot.key = a_key
      ))
    ORDER BY run.run_at, run.id
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED;
    IF chosen.further_keys <> '{}' THEN
        busy := ARRAY(
            SELECT slot.key FROM jobs_slot AS slot
            WHERE slot.environment_id = known.environment_id AND slot.queue = known.name
              AND slot.key <> '' GROUP BY slot.key HAVING count(*) >= key_limit
        );
        IF chosen.further_keys && busy THEN
            SELECT run.id, run.worker_queue, run.rate_weight, run.version, run.further_keys INTO chosen
            FROM jobs_run AS run
            WHERE run.id = ANY(ARRAY(
                SELECT oldest.id FROM jobs_run AS oldest
                WHERE oldest.environment_id = known.environment_id AND oldest.queue = known.name
                  AND oldest.is_waiting AND oldest.concurrency_key = a_key
                ORDER BY oldest.run_at, oldest.id LIMIT 100
            ))
              AND run.is_waiting AND run.run_at <= now()
              AND (run.expires_at IS NULL OR run.expires_at > now())
              AND NOT run.further_keys && busy
            ORDER BY run.run_at, run.id
            LIMIT 1
            FOR NO KEY UPDATE SKIP LOCKED;
        END IF;
    END IF;
    IF chosen.id IS NULL OR chosen.rate_weight > rate_room THEN
        RETURN;
    END IF;
    INSERT INTO jobs_slot (environment_id, queue, key, run_id)
    SELECT DISTINCT known.environment_id, known.name, held.key, chosen.id
    FROM unnest(ARRAY['', a_key] || chosen.further_keys) AS held (key)
    ON CONFLICT DO NOTHING;
    IF known.rate_limit IS NOT NULL THEN
        INSERT INTO jobs_start (environment_id, queue, key, run_id, version, weight)
        VALUES (known.environment_id, known.name, CASE WHEN known.rate_per_key THEN a_key ELSE '' END,
                chosen.id, chosen.version, chosen.rate_weight)
        ON CONFLICT DO NOTHING;
    END IF;
    UPDATE jobs_run AS run SET is_waiting = false, is_claimable = true, needs_slot = true
    WHERE run.id = chosen.id;
    in_worker_queue := chosen.worker_queue;
    weight := chosen.rate_weight;
    RETURN NEXT;
END
$function$;

-- The bulk way for keys that do not compete: the oldest waiting runs of each become claimable, as many
-- as it has room for; keyless ones as many as there is room at all. One row without a worker queue, and
-- nothing is done: some of them have further keys, which may compete.
CREATE OR REPLACE FUNCTION jobs_admit_keys(known jobs_queue, keys text[], room integer)
RETURNS TABLE (in_worker_queue text, admitted bigint) LANGUAGE plpgsql AS $function$
BEGIN
    RETURN QUERY
    WITH line AS MATERIALIZED (
        SELECT wanted.key, CASE WHEN wanted.key = '' THEN room
            ELSE least(room, coalesce(known.key_concurrency_limit, 1) - (
                SELECT count(*) FROM jobs_slot AS slot
                WHERE slot.environment_id = known.environment_id AND slot.queue = known.name
                  AND slot.key = wanted.key
            )) END AS key_room
        FROM unnest(keys) AS wanted (key)
    ), chosen AS MATERIALIZED (
        SELECT oldest.id, line.key, oldest.has_further
        FROM line CROSS JOIN LATERAL (
            SELECT run.id, run.further_keys <> '{}' AS has_further FROM jobs_run AS run
            WHERE run.environment_id = known.environment_id AND run.queue = known.name
              AND run.is_waiting AND run.concurrency_key = line.key AND run.run_at <= now()
              AND (run.expires_at IS NULL OR run.expires_at > now())
            ORDER BY run.run_at, run.id
            LIMIT greatest(line.key_room, 0)
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS oldest
        LIMIT room
    ), simple AS (
        SELECT id, key FROM chosen WHERE NOT EXISTS (SELECT FROM chosen WHERE has_further)
    ), held AS (
        INSERT INTO jobs_slot (environment_id, queue, key, run_id)
        SELECT known.environment_id, known.name, '', id FROM simple
        UNION ALL SELECT known.environment_id, known.name, key, id FROM simple WHERE key <> ''
        ON CONFLICT DO NOTHING
    ), claimable AS (
        UPDATE jobs_run AS run SET is_waiting = false, is_claimable = true, needs_slot = true
        WHERE run.id = ANY(ARRAY(SELECT id FROM simple))
        RETURNING run.worker_queue
    )
    SELECT claimable.worker_queue::text, count(*) FROM claimable GROUP BY claimable.worker_queue
    UNION ALL SELECT NULL, NULL WHERE EXISTS (SELECT FROM chosen WHERE has_further);
END
$function$;

-- The next waiting keys with room that have their turn after this one (NULL: from the first on), at
-- most so many; fewer than that: there are no others behind them.
CREATE OR REPLACE FUNCTION jobs_next_turns(known jobs_queue, after text, wanted integer)
RETURNS text[] LANGUAGE plpgsql AS $function$
DECLARE
    key_limit integer := coalesce(known.key_concurrency_limit, 1);
BEGIN
    RETURN ARRAY(
        WITH RECURSIVE line AS (
            SELECT first.key, room.is_there, room.is_there::integer AS found
            FROM (
                (SELECT run.concurrency_key AS key FROM jobs_run AS run
                 WHERE run.environment_id = known.environment_id AND run.queue = known.name
                   AND run.is_waiting AND after IS NULL
                 ORDER BY run.concurrency_key LIMIT 1)
                UNION ALL
                (SELECT run.concurrency_key FROM jobs_run AS run
                 WHERE run.environment_id = known.environment_id AND run.queue = known.name
                   AND run.is_waiting AND run.concurrency_key > after
                 ORDER BY run.concurrency_key LIMIT 1)
            ) AS first CROSS JOIN LATERAL (
                SELECT first.key = '' OR key_limit > (
                    SELECT count(*) FROM jobs_slot AS slot
                    WHERE slot.environment_id = known.environment_id AND slot.queue = known.name
                      AND slot.key = first.key
                ) AS is_there
            ) AS room
            UNION ALL
            SELECT next.key, room.is_there, line.found + room.is_there::integer
            FROM line CROSS JOIN LATERAL (
                SELECT run.concurrency_key AS key FROM jobs_run AS run
                WHERE run.environment_id = known.environment_id AND run.queue = known.name
                  AND run.is_waiting AND run.concurrency_key > line.key
                ORDER BY run.concurrency_key LIMIT 1
            ) AS next CROSS JOIN LATERAL (
                SELECT key_limit > (
                    SELECT count(*) FROM jobs_slot AS slot
                    WHERE slot.environment_id = known.environment_id AND slot.queue = known.name
                      AND slot.key = next.key
                ) AS is_there
            ) AS room
            WHERE line.found < wanted
        )
        SELECT line.key FROM line WHERE line.is_there ORDER BY line.key
    );
END
$function$;

-- How much more a queue with this limit may let go now.
CREATE OR REPLACE FUNCTION jobs_queue_room(known jobs_queue, queue_limit integer)
RETURNS integer LANGUAGE plpgsql AS $function$
DECLARE
    taken integer;
    has_adopted boolean;
BEGIN
    SELECT count(*), bool_or(slot.attempt_number IS NOT NULL) INTO taken, has_adopted
    FROM jobs_slot AS slot
    WHERE slot.environment_id = known.environment_id AND slot.queue = known.name AND slot.key = '';
    IF has_adopted THEN
        -- Attempts that were live when the queue got its limit free no slot by themselves.
        WITH freed AS (
            DELETE FROM jobs_slot AS slot
            WHERE slot.environment_id = known.environment_id AND slot.queue = known.name
              AND slot.key = '' AND slot.attempt_number IS NOT NULL
              AND (EXISTS (SELECT FROM jobs_attempt AS attempt
                           WHERE attempt.run_id = slot.run_id
                             AND attempt.number = slot.attempt_number)
                   OR NOT EXISTS (SELECT FROM jobs_run AS run WHERE run.id = slot.run_id))
            RETURNING 1
        )
        SELECT taken - count(*) INTO taken FROM freed;
    END IF;
    RETURN queue_limit - taken;
END
$function$;

-- Admit what may start. A transaction of its own, committed asynchronously: an admission that a crash
-- loses is made again by the clock.
-- Parameters: an_environment, a_queue, at_most (runs), freed (keys that may have got room; NULL: any).
-- Returns: for each worker queue how many runs became claimable.
-- Order: keys take turns, the next one after `served_key` first; within a key the oldest run_at. Where
--   only keys are limited, and each run has one, they do not compete: only the freed ones are looked at.
-- Locks: the queue's row, then the admitted runs, skipping those that somebody else is changing.
CREATE OR REPLACE FUNCTION jobs_admit(
    an_environment integer, a_queue text, at_most integer, freed text[]
) RETURNS TABLE (in_worker_queue text, admitted bigint) LANGUAGE plpgsql
-- The statements are written for their indexes, and statistics lag behind a queue.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $function$
DECLARE
    known jobs_queue%ROWTYPE;
    queue_limit integer;
    has_rate boolean;
    room integer := at_most;
    rate_room bigint;
    next_at timestamptz;
    look_at timestamptz;
    wanted integer;
    turns text[];
    turn text;
    after text;
    served text;
    chosen record;
    chosen_queues text[] := '{}';
    was_any boolean := false;
    is_round boolean := false;
    is_bulk boolean := false;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;  -- what it counts would be older than its lock: left to the clock
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT * INTO known FROM jobs_queue AS queue
    WHERE queue.environment_id = an_environment AND queue.name = a_queue FOR NO KEY UPDATE;
    IF NOT FOUND OR known.paused_at IS NOT NULL THEN
        RETURN;
    END IF;
    queue_limit := coalesce(known.override_limit, known.concurrency_limit);
    has_rate := known.rate_limit IS NOT NULL;
    IF queue_limit IS NOT NULL THEN
        room := least(room, jobs_queue_room(known, queue_limit));
    END IF;
    IF NOT has_rate THEN
        IF room <= 0 THEN
            RETURN;
        END IF;
        IF queue_limit IS NULL THEN
            turns := coalesce(freed, jobs_next_turns(known, NULL, room));
            -- The order is the index's alone, so that no other one is thought to be as good.
            PERFORM FROM jobs_run AS run
            WHERE run.environment_id = an_environment AND run.queue = a_queue
              AND run.is_waiting AND run.further_keys <> '{}'
            ORDER BY run.run_at LIMIT 1;
            is_bulk := NOT FOUND;
        ELSE
            turns := ARRAY['']; -- unless there are keys
            is_bulk := NOT EXISTS (
                SELECT FROM jobs_run AS run
                WHERE run.environment_id = an_environment AND run.queue = a_queue
                  AND run.is_waiting AND run.concurrency_key > '');
        END IF;
        IF is_bulk THEN
            FOR chosen IN SELECT * FROM jobs_admit_keys(known, turns, room) LOOP
                is_bulk := chosen.in_worker_queue IS NOT NULL;
                EXIT WHEN NOT is_bulk;
                in_worker_queue := chosen.in_worker_queue;
                admitted := chosen.admitted;
                RETURN NEXT;
            END LOOP;
        END IF;
        IF is_bulk THEN
            RETURN;
        END IF;
    ELSIF NOT known.rate_per_key THEN
        SELECT rate.room, rate.next_at INTO rate_room, look_at FROM jobs_rate_room(known, '') AS rate;
    END IF;
    after := known.served_key;
    WHILE room > 0 AND coalesce(rate_room, 1) > 0 LOOP
        wanted := least(room, 100);
        turns := jobs_next_turns(known, after, wanted);
        FOREACH turn IN ARRAY turns LOOP
            EXIT WHEN room <= 0 OR rate_room <= 0;
            after := turn;
            IF has_rate AND known.rate_per_key THEN
                SELECT rate.room, rate.next_at INTO rate_room, next_at
                FROM jobs_rate_room(known, turn) AS rate;
                look_at := least(look_at, next_at);
            END IF;
            SELECT * INTO chosen FROM jobs_admit_next(known, turn, rate_room);
            IF FOUND THEN
                was_any := true;
                served := turn;
                chosen_queues := chosen_queues || chosen.in_worker_queue;
                room := room - 1;
                rate_room := rate_room - chosen.weight;
            END IF;
            IF known.rate_per_key THEN
                rate_room := NULL;
            END IF;
        END LOOP;
        EXIT WHEN room <= 0 OR rate_room <= 0;
        IF cardinality(turns) < wanted THEN  -- a new round, unless the whole one before was in vain
            EXIT WHEN is_round AND NOT was_any;
            is_round := true;
            was_any := false;
            after := NULL;
        END IF;
    END LOOP;
    RETURN QUERY
        SELECT chosen_queue, count(*) FROM unnest(chosen_queues) AS chosen_queue GROUP BY chosen_queue;
    -- Where nobody waits there is nothing to look at later.
    IF look_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM jobs_run AS run
        WHERE run.environment_id = an_environment AND run.queue = a_queue AND run.is_waiting
    ) THEN
        look_at := NULL;
    END IF;
    UPDATE jobs_queue AS queue SET served_key = coalesce(served, known.served_key), admit_at = look_at
    WHERE queue.id = known.id
      AND (queue.served_key, queue.admit_at)
          IS DISTINCT FROM (coalesce(served, known.served_key), look_at);
END
$function$;
