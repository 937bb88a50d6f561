import type { ComponentChildren } from "preact"
import { useLayoutEffect, useRef, useState } from "preact/hooks"
import { Avatar } from "./Avatar.tsx"
import type { Draft, Entry, Line, Room } from "./room.ts"

interface Props {
  readonly room: Room
  readonly isOnline: boolean
  readonly onSayAgain: (id: number) => void
  readonly onDiscard: (id: number) => void
}

/** Lines of one person belong together if no more than this lies between them. */
const togetherMillis = 5 * 60_000
/** So near to the end, in pixels, the reader follows it. */
const nearEnd = 48

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" })
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" })

const Time = ({ at }: { readonly at: Date }) => (
  <time dateTime={at.toISOString()} title={calendar.format(at)}>
    {(at.toDateString() === new Date().toDateString() ? clock : calendar).format(at)}
  </time>
)

const lineOf = (entry: Entry | undefined): Line | undefined => entry?.kind === "line" ? entry.line : undefined

const isTogether = (before: Line | undefined, line: Line): boolean =>
  before?.from === line.from && line.at.getTime() - before.at.getTime() < togetherMillis

interface LineProps {
  readonly text: string
  readonly from: string
  /** Undefined as long as nobody has seen it. */
  readonly at: Date | undefined
  readonly isMine: boolean
  /** The one before is of the same person. */
  readonly continues: boolean
  readonly children?: ComponentChildren
}

const Item = ({ at, children, continues, from, isMine, text }: LineProps) => (
  <li class={`line ${isMine ? "mine" : "theirs"} ${continues ? "continues" : ""} ${at === undefined ? "draft" : ""}`}>
    {!isMine && !continues && <Avatar name={from} />}
    <p class={isMine || continues ? "head unseen" : "head"}>{isMine ? "You" : from}</p>
    <p class="bubble" dir="auto">{text}</p>
    {at !== undefined && <Time at={at} />}
    {children}
  </li>
)

interface FateProps extends Pick<Props, "onSayAgain" | "onDiscard" | "isOnline"> {
  readonly draft: Draft
}

/** What becomes of a draft, if it does not arrive at once. */
const Fate = ({ draft: { id, problem }, isOnline, onDiscard, onSayAgain }: FateProps) => {
  if (problem === undefined) return isOnline ? null : <p class="fate">Waiting to be sent</p>
  return (
    <div class="fate failed">
      <p>{problem}</p>
      <button type="button" onClick={() => onSayAgain(id)}>Send again</button>
      <button type="button" onClick={() => onDiscard(id)}>Discard</button>
    </div>
  )
}

interface ScrollerProps {
  readonly label: string
  /** The id of the newest thing to see; smaller ones were there before. */
  readonly newest: number
  /** The newest is the reader's own: then it is shown. */
  readonly isOwn: boolean
  readonly children: ComponentChildren
}

/** Keeps the end in sight, unless the reader has scrolled up: then it tells what is new and stays. */
const Scroller = ({ children, isOwn, label, newest }: ScrollerProps) => {
  const box = useRef<HTMLDivElement>(null)
  const list = useRef<HTMLOListElement>(null)
  const follows = useRef(true)
  const measured = useRef("")
  const [seen, setSeen] = useState(newest)

  const measure = ({ clientHeight, scrollHeight }: HTMLElement) => `${clientHeight} ${scrollHeight}`
  const toEnd = () => {
    box.current!.scrollTop = box.current!.scrollHeight
  }
  const onScroll = () => {
    const { clientHeight, scrollHeight, scrollTop } = box.current!
    const isAtEnd = scrollHeight - scrollTop - clientHeight < nearEnd
    // What scrolls because its size changes is not the reader's doing.
    if (isAtEnd || measure(box.current!) === measured.current) follows.current = isAtEnd
    if (follows.current) setSeen(newest)
  }
  useLayoutEffect(() => {
    if (!follows.current && !isOwn) return
    follows.current = true
    toEnd()
    setSeen(newest)
  }, [newest, isOwn])
  useLayoutEffect(() => {
    // The box shrinks for an on-screen keyboard, the list grows with what is said.
    const observer = new ResizeObserver(() => {
      if (follows.current) toEnd()
      measured.current = measure(box.current!)
    })
    observer.observe(box.current!)
    observer.observe(list.current!)
    return () => observer.disconnect()
  }, [])
  const showNew = () => {
    box.current!.focus({ preventScroll: true })
    toEnd()
  }

  return (
    <div class="scroller">
      <div class="log" ref={box} onScroll={onScroll} role="log" aria-label={label} tabIndex={0}>
        <ol ref={list}>{children}</ol>
      </div>
      {newest > seen && <button type="button" class="new primary" onClick={showNew}>New messages ↓</button>}
    </div>
  )
}

/** What is said, who comes and goes, and what waits to be sent. */
export const Log = ({ isOnline, onDiscard, onSayAgain, room: { drafts, entries, me, name } }: Props) => {
  const newest = Math.max(entries.at(-1)?.id ?? 0, drafts.at(-1)?.id ?? 0)
  return (
    <Scroller label={`Messages in ${name}`} newest={newest} isOwn={drafts.at(-1)?.id === newest}>
      {entries.length + drafts.length === 0 && <li key="empty" class="note">Nobody has said anything yet.</li>}
      {entries.map((entry, index) =>
        entry.kind === "note" ? <li key={entry.id} class="note">{entry.text}</li> : (
          <Item
            key={entry.id}
            {...entry.line}
            isMine={entry.line.from === me}
            continues={isTogether(lineOf(entries[index - 1]), entry.line)}
          />
        )
      )}
      {drafts.map((draft) => (
        <Item key={draft.id} text={draft.text} from={me} at={undefined} isMine continues>
          <Fate draft={draft} isOnline={isOnline} onSayAgain={onSayAgain} onDiscard={onDiscard} />
        </Item>
      ))}
    </Scroller>
  )
}
