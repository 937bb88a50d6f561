import { useEffect, useRef, useState } from "preact/hooks"
import { maxText } from "../contract.ts"

interface Props {
  readonly room: string
  readonly onSay: (text: string) => void
  readonly onTyping: () => void
}

/** From here on the page says how much is left. */
const warnAt = maxText - 200

const count = (n: number) => `${n.toLocaleString("en")} character${n === 1 ? "" : "s"}`

const problemWith = (text: string): string | undefined => {
  if (text === "") return "Write something first."
  if (text.length <= maxText) return undefined
  return `Too long: ${count(text.length)}, and ${maxText.toLocaleString("en")} are the most. Shorten it by ${
    (text.length - maxText).toLocaleString("en")
  }.`
}

const countOf = ({ length }: string): string | undefined => {
  if (length < warnAt) return undefined
  return length > maxText ? `${count(length - maxText)} too many` : `${count(maxText - length)} left`
}

/** A finger has a keyboard that covers half the page: it comes when it is asked for. */
const hasKeyboard = () => matchMedia("(pointer: fine)").matches

/** Where one writes. Enter sends, Shift and Enter begin a new line. */
export const Composer = ({ onSay, onTyping, room }: Props) => {
  const [text, setText] = useState("")
  const [problem, setProblem] = useState<string>()
  const field = useRef<HTMLTextAreaElement>(null)
  useEffect(() => {
    if (hasKeyboard()) field.current?.focus()
  }, [])

  const said = text.trim()
  const isTooLong = said.length > maxText
  const submit = (event: Event) => {
    event.preventDefault()
    const wrong = problemWith(said)
    setProblem(wrong)
    field.current?.focus()
    if (wrong !== undefined) return
    setText("")
    onSay(said)
  }
  const edit = ({ currentTarget: { value } }: { readonly currentTarget: HTMLTextAreaElement }) => {
    setText(value)
    setProblem(undefined)
    if (value.trim() !== "") onTyping()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    // While an input method composes, Enter is its own.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event)
  }

  return (
    <form class="composer" noValidate onSubmit={submit}>
      <label class="unseen" for="text">Message to {room}</label>
      <textarea
        id="text"
        ref={field}
        value={text}
        rows={1}
        dir="auto"
        onInput={edit}
        onKeyDown={onKeyDown}
        placeholder={`Message #${room}`}
        enterkeyhint="send"
        aria-invalid={problem !== undefined || isTooLong}
        aria-describedby="text-problem text-count"
      />
      <button type="submit" class="primary">Send</button>
      <p id="text-problem" class="problem" role="alert">{problem}</p>
      <p id="text-count" class={isTooLong ? "count problem" : "count"}>
        {problem === undefined && countOf(said)}
      </p>
    </form>
  )
}
