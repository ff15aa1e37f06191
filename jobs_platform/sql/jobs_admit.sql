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

-- The next waiting run of a key, if the key has room: its slots are taken, the run is locked, and still
-- to be made claimable. `picked` are runs of this admission.
CREATE OR REPLACE FUNCTION jobs_admit_next(known jobs_queue, a_key text, rate_room bigint, picked uuid[])
RETURNS TABLE (run_id uuid, weight smallint) LANGUAGE plpgsql AS $function$
DECLARE
    key_limit integer := coalesce(known.key_concurrency_limit, 1);
    chosen record;
BEGIN
    IF a_key <> '' AND (
        SELECT count(*) FROM jobs_slot AS slot
        WHERE slot.environment_id = known.environment_id AND slot.queue = known.name
          AND slot.key = a_key
    ) >= key_limit THEN
        RETURN;
    END IF;
    SELECT run.id, run.rate_weight, run.version, run.further_keys INTO chosen
    FROM jobs_run AS run
    WHERE run.environment_id = known.environment_id AND run.queue = known.name AND run.is_waiting
      AND run.concurrency_key = a_key AND run.run_at <= now()
      AND (run.expires_at IS NULL OR run.expires_at > now())
      AND run.id <> ALL(picked)
      AND NOT EXISTS (
          SELECT FROM unnest(run.further_keys) AS further (key)
          WHERE (SELECT count(*) FROM jobs_slot AS slot
                 WHERE slot.environment_id = known.environment_id AND slot.queue = known.name
                   AND slot.key = further.key) >= key_limit
      )
    ORDER BY run.run_at, run.id
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND OR chosen.rate_weight > rate_room THEN
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
    run_id := chosen.id;
    weight := chosen.rate_weight;
    RETURN NEXT;
END
$function$;

-- The oldest waiting runs without a key, as many as there is room for: the bulk way where they have no
-- competitors. Their slots are taken, they are locked, and still to be made claimable.
CREATE OR REPLACE FUNCTION jobs_admit_keyless(known jobs_queue, room integer)
RETURNS uuid[] LANGUAGE sql AS $function$
    WITH chosen AS (
        SELECT run.id FROM jobs_run AS run
        WHERE run.environment_id = known.environment_id AND run.queue = known.name
          AND run.is_waiting AND run.concurrency_key = '' AND run.run_at <= now()
          AND (run.expires_at IS NULL OR run.expires_at > now())
        ORDER BY run.run_at, run.id
        LIMIT room
        FOR NO KEY UPDATE SKIP LOCKED
    ), held AS (
        INSERT INTO jobs_slot (environment_id, queue, key, run_id)
        SELECT known.environment_id, known.name, '', id FROM chosen
        ON CONFLICT DO NOTHING
    )
    SELECT coalesce(array_agg(id), '{}') FROM chosen
$function$;

-- The waiting key that has its turn after this one; NULL after the last.
CREATE OR REPLACE FUNCTION jobs_next_turn(an_environment integer, a_queue text, after text)
RETURNS text LANGUAGE plpgsql STABLE AS $function$
DECLARE
    turn text;
BEGIN
    IF after IS NULL THEN
        SELECT run.concurrency_key INTO turn FROM jobs_run AS run
        WHERE run.environment_id = an_environment AND run.queue = a_queue AND run.is_waiting
        ORDER BY run.concurrency_key LIMIT 1;
    ELSE
        SELECT run.concurrency_key INTO turn FROM jobs_run AS run
        WHERE run.environment_id = an_environment AND run.queue = a_queue AND run.is_waiting
          AND run.concurrency_key > after
        ORDER BY run.concurrency_key LIMIT 1;
    END IF;
    RETURN turn;
END
$function$;

-- Admit what may start. A transaction of its own, committed asynchronously: an admission that a crash
-- loses is made again by the clock.
-- Parameters: an_environment, a_queue, at_most (runs), freed (keys that may have got room; NULL: any).
-- Returns: for each worker queue how many runs became claimable.
-- Order: keys take turns, the next one after `served_key` first; within a key the oldest run_at. Where
--   only keys are limited they do not compete, and only the freed ones are looked at.
-- Locks: the queue's row, then the admitted runs, skipping those that somebody else is changing.
CREATE OR REPLACE FUNCTION jobs_admit(
    an_environment integer, a_queue text, at_most integer, freed text[]
) RETURNS TABLE (in_worker_queue text, admitted bigint) LANGUAGE plpgsql AS $function$
DECLARE
    known jobs_queue%ROWTYPE;
    queue_limit integer;
    has_rate boolean;
    room integer := at_most;
    rate_room bigint;
    next_at timestamptz;
    look_at timestamptz;
    turns text[];
    position integer := 0;
    turn text;
    served text;
    found_run uuid;
    found_weight smallint;
    picked uuid[] := '{}';
    was_any boolean := false;
    is_round boolean := false;
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
        -- Attempts that were live when the queue got its limit free no slot by themselves.
        DELETE FROM jobs_slot AS slot
        WHERE slot.environment_id = an_environment AND slot.queue = a_queue AND slot.key = ''
          AND slot.attempt_number IS NOT NULL
          AND (EXISTS (SELECT FROM jobs_attempt AS attempt
                       WHERE attempt.run_id = slot.run_id AND attempt.number = slot.attempt_number)
               OR NOT EXISTS (SELECT FROM jobs_run AS run WHERE run.id = slot.run_id));
        SELECT least(room, queue_limit - count(*)) INTO room FROM jobs_slot AS slot
        WHERE slot.environment_id = an_environment AND slot.queue = a_queue AND slot.key = '';
    END IF;
    IF has_rate AND NOT known.rate_per_key THEN
        SELECT rate.room, rate.next_at INTO rate_room, look_at FROM jobs_rate_room(known, '') AS rate;
    END IF;
    IF queue_limit IS NULL AND NOT has_rate AND freed IS NOT NULL THEN
        turns := ARRAY(
            SELECT unnest(freed)
            UNION SELECT run.concurrency_key FROM jobs_run AS run
            WHERE run.environment_id = an_environment AND run.queue = a_queue AND run.is_waiting
              AND run.further_keys <> '{}' AND run.further_keys && freed
        );
    END IF;
    served := known.served_key;
    WHILE room > 0 AND coalesce(rate_room, 1) > 0 LOOP
        IF turns IS NULL THEN
            turn := jobs_next_turn(an_environment, a_queue, served);
        ELSE
            position := position + 1;
            turn := turns[position];
        END IF;
        IF turn IS NULL THEN  -- a new round, unless the whole one before was in vain
            EXIT WHEN is_round AND NOT was_any;
            is_round := true;
            was_any := false;
            position := 0;
            served := NULL;
            CONTINUE WHEN turns IS NOT NULL;
            turn := jobs_next_turn(an_environment, a_queue, NULL);
            EXIT WHEN turn IS NULL;
        END IF;
        served := turn;
        IF turn = '' AND NOT has_rate
           AND jobs_next_turn(an_environment, a_queue, '') IS NULL THEN
            picked := picked || jobs_admit_keyless(known, room);
            EXIT;
        END IF;
        IF has_rate AND known.rate_per_key THEN
            SELECT rate.room, rate.next_at INTO rate_room, next_at
            FROM jobs_rate_room(known, turn) AS rate;
            look_at := least(look_at, next_at);
        END IF;
        SELECT next.run_id, next.weight INTO found_run, found_weight
        FROM jobs_admit_next(known, turn, rate_room, picked) AS next;
        IF FOUND THEN
            was_any := true;
            picked := picked || found_run;
            room := room - 1;
            rate_room := rate_room - found_weight;
        END IF;
        IF known.rate_per_key THEN
            rate_room := NULL;
        END IF;
    END LOOP;
    RETURN QUERY
        WITH claimable AS (
            UPDATE jobs_run AS run SET is_waiting = false, is_claimable = true, needs_slot = true
            WHERE run.id = ANY(picked)
            RETURNING run.worker_queue
        )
        SELECT claimable.worker_queue::text, count(*) FROM claimable GROUP BY claimable.worker_queue;
    -- Where nobody waits there is nothing to look at later.
    IF look_at IS NOT NULL AND jobs_next_turn(an_environment, a_queue, NULL) IS NULL THEN
        look_at := NULL;
    END IF;
    UPDATE jobs_queue AS queue SET served_key = coalesce(served, known.served_key), admit_at = look_at
    WHERE queue.id = known.id
      AND (queue.served_key, queue.admit_at)
          IS DISTINCT FROM (coalesce(served, known.served_key), look_at);
END
$function$;
