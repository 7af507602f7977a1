// Requests /api twelve times and draws a dot per response, in the colour of the worker that sent it.
const button = document.getElementById('ask')
const turns = document.getElementById('turns')

async function ask() {
  button.disabled = true
  turns.replaceChildren()
  try {
    for (let i = 0; i < 12; i += 1) {
      const worker = await (await fetch('/api')).json()
      const dot = document.createElement('i')
      dot.style.setProperty('--hue', worker.hue)
      dot.title = `${worker.name}, process ${worker.pid}`
      turns.append(dot)
    }
  } catch {
    turns.append(' no response')
  } finally {
    button.disabled = false
  }
}

button.addEventListener('click', ask)
